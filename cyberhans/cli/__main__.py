"""python -m cyberhans.cli"""

from cyberhans.cli import main

if __name__ == "__main__":
    main()
