/* None. */
typedef int hans_no_model;
