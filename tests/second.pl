#!/usr/bin/perl
# Cyber-Hans, second implementation: SPEC.md sections 1 to 6, written from SPEC.md alone.
#     perl second.pl SPEC.json < samples > features
# Input: int16, little-endian, channels interleaved, hop = window. Output: a line of features for each window.
use strict;
use warnings;
use JSON::PP ();
use List::Util qw(max min);
use Math::BigInt;
use POSIX qw(floor);

# ---- Tables: the only real arithmetic ----

use constant TURN => 8 * atan2(1, 1);                           # 2 pi

my @T = map { nearest(65536 * log(1 + $_ / 32) / log 2) } 0 .. 32;      # section 1.1

sub nearest {
    return floor($_[0] + 0.5);
}

# c15 and s15 of part/whole of a turn (section 3)
sub rotation {
    my ($part, $whole) = @_;
    my $angle = TURN * $part / $whole;
    return map { max(-32768, min(32767, nearest(32768 * $_))) } cos $angle, sin $angle;
}

# The taper of N points (section 3)
sub taper {
    my ($N) = @_;
    my @rising = map { nearest(32768 * (0.5 - 0.5 * cos(TURN * $_ / $N))) } 0 .. $N / 2 - 1;
    return [@rising, map { 32768 - $_ } @rising];
}

use integer;        # from here to the end: signed 64 bits, >> floors

# ---- Logarithm (section 1.1) ----

# v > 0 or 0, native or Math::BigInt; i and f are the 5 and 16 bits below the highest one
sub log16 {
    my ($v) = @_;
    return 0 if $v == 0;
    my $bits = ref $v ? substr($v->as_bin, 2) : sprintf '%b', $v;
    my ($i, $f) = map { oct "0b$_" } unpack 'x a5 a16', $bits . '0' x 21;
    return (length($bits) - 1) * 65536 + $T[$i] + (($T[$i + 1] - $T[$i]) * $f >> 16);
}

sub log8 {
    return log16($_[0]) + 128 >> 8;
}

# ---- Spectrum (section 3). Lists of complex numbers are passed as all real, then all imaginary parts ----

# Everything that depends on the frame length alone
sub plan {
    my ($N) = @_;
    my ($H, $log_H) = ($N / 2, (log16($N) >> 16) - 1);
    my $log_R = $log_H & 1 ? 3 : 2;
    my ($R, $D) = (1 << $log_R, ($log_H - $log_R) / 2);
    my @stages;                                                 # [q, W1 W2 W3 for each j]
    for (my $q = $R; $q < $H; $q *= 4) {
        push @stages, [$q, map { my $j = $_; [map { rotation($j * $_, 4 * $q) } 1 .. 3] } 0 .. $q - 1];
    }
    return {
        H => $H, R => $R, S => 14 - $log_H + $D, taper => taper($N), stages => \@stages,
        first => [map { reversed($_, $D) } 0 .. $H / $R - 1],
        split => [map { [rotation($_, $N)] } 0 .. $H / 2 - 1],
    };
}

# p with its D base-4 digits reversed (section 3.2)
sub reversed {
    my ($p, $D) = @_;
    my $r = 0;
    for (1 .. $D) {
        $r = 4 * $r + ($p & 3);
        $p >>= 2;
    }
    return $r;
}

# A, B, C, D to A + C, B - jD, A - C, B + jD
sub combine {
    my ($Ar, $Br, $Cr, $Dr, $Ai, $Bi, $Ci, $Di) = @_;
    return ($Ar + $Cr, $Br + $Di, $Ar - $Cr, $Br - $Di, $Ai + $Ci, $Bi - $Dr, $Ai - $Ci, $Bi + $Dr);
}

sub dft4 {
    my ($ar, $br, $cr, $dr, $ai, $bi, $ci, $di) = @_;
    return combine($ar + $cr, $ar - $cr, $br + $dr, $br - $dr, $ai + $ci, $ai - $ci, $bi + $di, $bi - $di);
}

sub rt {
    return 2 * ($_[0] * 23170 >> 16);
}

sub dft8 {
    my @E = dft4(@_[0, 2, 4, 6, 8, 10, 12, 14]);
    my @O = dft4(@_[1, 3, 5, 7, 9, 11, 13, 15]);
    my @T = ($O[0], rt($O[1] + $O[5]), $O[6], rt($O[7] - $O[3]), $O[4], rt($O[5] - $O[1]), -$O[2], -rt($O[3] + $O[7]));
    my @low = map { $E[$_] + $T[$_] } 0 .. 7;
    my @high = map { $E[$_] - $T[$_] } 0 .. 7;
    return (@low[0 .. 3], @high[0 .. 3], @low[4 .. 7], @high[4 .. 7]);
}

# Half of x times the conjugate of W, floored product by product: the circled times of section 3.3
sub turn {
    my ($xr, $xi, $cos, $sin) = @_;
    return (($xr * $cos >> 16) + ($xi * $sin >> 16) + 1, ($xi * $cos >> 16) - ($xr * $sin >> 16));
}

# Sections 3.1 and 3.2: N samples to the real and imaginary parts of Z after the first pass
sub first_pass {
    my ($plan, $x) = @_;
    my ($H, $R, $S, $taper) = @$plan{qw(H R S taper)};
    my ($half, $shift) = (1 << 14 - $S, 15 - $S);
    my @t = map { $x->[$_] * $taper->[$_] + $half >> $shift } 0 .. 2 * $H - 1;
    my $dft = $R == 8 ? \&dft8 : \&dft4;
    my (@re, @im);
    for my $p (@{ $plan->{first} }) {
        my @even = map { 2 * ($p + $_ * ($H / $R)) } 0 .. $R - 1;
        my @Z = $dft->(@t[@even], @t[map { $_ + 1 } @even]);
        push @re, @Z[0 .. $R - 1];
        push @im, @Z[$R .. 2 * $R - 1];
    }
    return (\@re, \@im);
}

# Section 3.3: one stage, in place
sub run_stage {
    my ($re, $im, $q, @W) = @_;
    for my $j (0 .. $q - 1) {
        my ($cos1, $sin1, $cos2, $sin2, $cos3, $sin3) = @{ $W[$j] };
        for (my $g = $j; $g < @$re; $g += 4 * $q) {
            my @at = ($g, $g + $q, $g + 2 * $q, $g + 3 * $q);
            if ($j == 0) {
                (@$re[@at], @$im[@at]) = halved_dft4(@$re[@at], @$im[@at]);
                next;
            }
            my ($ar, $br, $cr, $dr, $ai, $bi, $ci, $di) = (@$re[@at], @$im[@at]);
            my ($t1r, $t1i) = turn($br, $bi, $cos1, $sin1);
            my ($t2r, $t2i) = turn($cr, $ci, $cos2, $sin2);
            my ($t3r, $t3i) = turn($dr, $di, $cos3, $sin3);
            my ($hr, $hi) = ($ar >> 1, $ai >> 1);
            (@$re[@at], @$im[@at]) = combine($hr + $t2r, $hr - $t2r, $t1r + $t3r, $t1r - $t3r,
                                             $hi + $t2i, $hi - $t2i, $t1i + $t3i, $t1i - $t3i);
        }
    }
}

# Section 3.3, j = 0
sub halved_dft4 {
    my ($ar, $br, $cr, $dr, $ai, $bi, $ci, $di) = @_;
    return combine($ar + $cr >> 1, $ar - $cr >> 1, $br + $dr >> 1, $br - $dr >> 1,
                   $ai + $ci >> 1, $ai - $ci >> 1, $bi + $di >> 1, $bi - $di >> 1);
}

# Section 3.4: the real and imaginary parts of X, H of each
sub split_halves {
    my ($plan, $re, $im) = @_;
    my $H = $plan->{H};
    my (@Xr, @Xi);
    ($Xr[0], $Xi[0]) = ($re->[0] + $im->[0], 0);
    ($Xr[$H / 2], $Xi[$H / 2]) = ($re->[$H / 2], -$im->[$H / 2]);
    for my $k (1 .. $H / 2 - 1) {
        my $m = $H - $k;
        my ($sr, $dr) = ($re->[$k] + $re->[$m], $re->[$k] - $re->[$m]);
        my ($si, $di) = ($im->[$k] + $im->[$m], $im->[$k] - $im->[$m]);
        my ($U, $T) = turn($dr, $si, @{ $plan->{split}[$k] });
        ($Xr[$k], $Xi[$k]) = ($T + ($sr >> 1), ($di >> 1) - $U);
        ($Xr[$m], $Xi[$m]) = (($sr >> 1) - $T, -(($di >> 1) + $U));
    }
    return (\@Xr, \@Xi);
}

sub spectrum {
    my ($plan, $x) = @_;
    my ($re, $im) = first_pass($plan, $x);
    run_stage($re, $im, @$_) for @{ $plan->{stages} };
    return split_halves($plan, $re, $im);
}

sub power {
    my ($Xr, $Xi) = spectrum(@_);
    return [map { $Xr->[$_] * $Xr->[$_] + $Xi->[$_] * $Xi->[$_] >> 6 } 0 .. $#$Xr];
}

# ---- Bands of one frame (section 4); G is the sum of the running sums A ----

sub bands {
    my ($P, $edges) = @_;
    my (@rise, @fall);
    for my $s (0 .. $#$edges - 1) {
        my ($A, $G, $rho) = (0, 0, (1 << 31) / ($edges->[$s + 1] - $edges->[$s]));
        for my $p (@$P[$edges->[$s] .. $edges->[$s + 1] - 1]) {
            $A += $p;
            $G += $A;
        }
        push @fall, ($G >> 31) * $rho + (($G & (1 << 31) - 1) * $rho >> 31);
        push @rise, $A - $fall[-1];
    }
    return [map { log8($rise[$_] + $fall[$_ + 1]) } 0 .. $#rise - 1];
}

# ---- A window of one channel (section 5) ----

# The means and the spreads of all bands of one frame length
sub band_features {
    my ($frames, $x) = @_;
    my $N = $frames->{length};
    my $F = 1 + (@$x - $N) / ($N / 2);
    my (@sum, @squares);
    for my $f (0 .. $F - 1) {
        my $start = $f * ($N / 2);
        my $q = bands(power($frames->{plan}, [@$x[$start .. $start + $N - 1]]), $frames->{edges});
        for my $b (0 .. $#$q) {
            $sum[$b] += $q->[$b];
            $squares[$b] += $q->[$b] * $q->[$b];
        }
    }
    my @means = map { ($_ + $F / 2) / $F } @sum;
    my @spreads = map { max(0, log8($F * $squares[$_] - $sum[$_] * $sum[$_]) - 2 * log8($F)) } 0 .. $#sum;
    return (\@means, \@spreads);
}

# S1 to S4, Math::BigInt. |u| < 2^16: no sum over 4096 values passes 2^60; u^4 goes in two halves
sub power_sums {
    my ($u) = @_;
    my @S = map { Math::BigInt->new(0) } 1 .. 4;
    for (my $from = 0; $from < @$u; $from += 4096) {
        my ($s1, $s2, $s3, $low, $high) = (0) x 5;
        for my $v (@$u[$from .. min($from + 4096, scalar @$u) - 1]) {
            my $square = $v * $v;
            $s1 += $v;
            $s2 += $square;
            $s3 += $square * $v;
            $low += $square * ($square & 65535);
            $high += $square * ($square >> 16);
        }
        my @part = ($s1, $s2, $s3, Math::BigInt->new($high) * 65536 + $low);
        $S[$_] += $part[$_] for 0 .. 3;
    }
    return @S;
}

# Level, crest and kurtosis
sub shape {
    my ($u) = @_;
    my ($S1, $S2, $S3, $S4) = power_sums($u);
    my $m = Math::BigInt->new(scalar @$u);
    my $C2 = $m * $S2 - $S1 * $S1;
    return (0, 0, 0) if $C2 == 0;
    my $C4 = $m ** 3 * $S4 - 4 * $m ** 2 * $S1 * $S3 + 6 * $m * $S1 ** 2 * $S2 - 3 * $S1 ** 4;
    my ($above, $below) = ($m * max(@$u) - $S1, $S1 - $m * min(@$u));
    my $K = $above > $below ? $above : $below;
    my $log_m = log16($m);
    my $level16 = log16($C2) - 2 * $log_m;
    return ($level16 + 128 >> 8, 2 * (log16($K) - $log_m) - $level16 + 128 >> 8,
            log16($C4) - 4 * $log_m - 2 * $level16 + 128 >> 8);
}

# ---- Features (section 6) ----

sub channel_pairs {
    my ($C) = @_;
    return ([0, 1], [0, 2], [1, 2]) if $C == 3;
    return map { [0, $_] } 1 .. $C - 1;
}

# The features of one window; x: the samples of each channel
sub features {
    my ($spec, @x) = @_;
    my (@features, @differences);
    for my $frames (@{ $spec->{frames} }) {
        my (@means, @spreads);
        for (@x) {
            my ($mean, $spread) = band_features($frames, $_);
            push @means, $mean;
            push @spreads, $spread if $spec->{has}{spread};
        }
        push @features, map { @$_ } @means, @spreads;
        for my $pair ($spec->{has}{differences} ? channel_pairs(scalar @x) : ()) {
            my ($one, $other) = @means[@$pair];
            push @differences, map { $one->[$_] - $other->[$_] } 0 .. $#$one;
        }
    }
    for my $x (@x) {
        push @features, shape($x) if $spec->{has}{level};
        push @features, shape([map { $x->[$_ + 1] - $x->[$_] } 0 .. $#$x - 1]) if $spec->{has}{steps};
    }
    return (@features, @differences);
}

# ---- The program ----

sub read_spec {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!\n";
    my $spec = JSON::PP::decode_json(do { local $/; <$file> });
    exists $_->{edges} or die "$path: frames without edges\n" for @{ $spec->{frames} };
    $spec->{frames} = [sort { $a->{length} <=> $b->{length} } @{ $spec->{frames} }];
    $_->{plan} = plan($_->{length}) for @{ $spec->{frames} };
    $spec->{has} = { map { $_ => 1 } @{ $spec->{families} || [] } };
    return $spec;
}

sub main {
    my $spec = read_spec($_[0] // die "usage: perl second.pl SPEC.json < samples > features\n");
    my ($n, $C) = @$spec{qw(window channels)};
    binmode STDIN;
    while ((read(STDIN, my $bytes, 2 * $n * $C) // die "read: $!\n") == 2 * $n * $C) {
        my @samples = unpack 's<*', $bytes;
        my @x = map { my $c = $_; [@samples[map { $c + $C * $_ } 0 .. $n - 1]] } 0 .. $C - 1;
        print join(' ', features($spec, @x)), "\n";
    }
}

main(@ARGV) unless caller;
1;
