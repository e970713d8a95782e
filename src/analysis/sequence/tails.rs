//! Incomplete gamma and beta functions, relative to their largest integrand.
//!
//! The textbook forms are products of huge and tiny factors; here the factors are taken out, so that
//! what is left is of the order of the width of the integrand, for any arguments. Both are integrals of
//! `exp(λS − ψ(λ)V)` over λ, in a variable in which nothing cancels.

use super::quadrature::integral;
use super::special::{LN_SQRT_TWO_PI, entropy, exp_remainder, log_remainder, stirling_remainder};

/// Below this an incomplete gamma function is summed from its power series.
const GAMMA_SERIES_BELOW: f64 = 32.0;

/// Terms of that series: enough for any shape.
const GAMMA_SERIES_TERMS: u32 = 200;

/// `p (1 − e^(−θ))`, or `q (e^θ − 1)`, from which on the odds are no longer close to 1.
const CLOSE_ODDS: f64 = 0.25;

/// Logarithm of the most of a whole that is taken away from it, nine tenths: of what is left, one digit
/// is lost by it.
const LOG_MOST_TAKEN: f64 = -0.105_360_515_657_826_3;

/// `ln[γ(a, x) eˣ/xᵃ]`, the logarithm of `∫₀^∞ exp(−a d + x (1 − e^(−d))) dd`, with a = `shape` above 0
/// and x = a + `excess`.
///
/// Negative infinity for negative x. For x below 32 this is the series DLMF 8.7.1, whose terms are all
/// positive; otherwise the integral up to x is found for x ≤ a, and that from x on for larger x.
pub(super) fn log_gamma_tail(shape: f64, excess: f64) -> f64 {
    let x = shape + excess;
    if x < 0.0 {
        f64::NEG_INFINITY
    } else if x < GAMMA_SERIES_BELOW {
        gamma_series(shape, x).ln()
    } else if excess <= 0.0 {
        let exponent = |d: f64| -excess * d + x * exp_remainder(-d);
        integral(exponent, (x.sqrt() - excess).recip()).ln()
    } else {
        let log_all = (stirling_remainder(shape) + LN_SQRT_TWO_PI - 0.5 * shape.ln())
            + shape * log_remainder(excess / shape);
        let exponent = |d: f64| excess * d + x * exp_remainder(d);
        let log_rest = integral(exponent, (x.sqrt() + excess).recip()).ln();
        log_difference(log_all, log_rest)
    }
}

/// `Σ xⁿ/(a (a + 1) … (a + n))`.
fn gamma_series(shape: f64, x: f64) -> f64 {
    let mut term = shape.recip();
    let mut sum = term;
    for power in 1..=GAMMA_SERIES_TERMS {
        term *= x / (shape + f64::from(power));
        sum += term;
        if term <= f64::EPSILON / 4.0 * sum {
            break;
        }
    }
    sum
}

/// A beta distribution, and the point that cuts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// α, above 0.
    pub(super) alpha: f64,
    /// β, above 0.
    pub(super) beta: f64,
    /// κ: how far α is below what it would be if p were the mean, `(α + β) p − α`.
    pub(super) kappa: f64,
    /// p, the point; 1e-6 to 1 − 1e-6.
    pub(super) p: f64,
    /// q = 1 − p.
    pub(super) q: f64,
}

impl Cut {
    /// `ln[B_p(α, β)/(p^α q^β)]`, the logarithm of `∫₀^∞ exp(κθ − n [ln(q + p e^(−θ)) + pθ]) dθ` with
    /// n = α + β.
    ///
    /// Of the two sides of p, that away from the mean is found as an integral, and taken from the
    /// whole where the other is wanted. Where that leaves next to nothing of the whole, as it can of a
    /// skewed one, the other is an integral, too: its exponent falls by little before it rises.
    pub(super) fn log_below(self) -> f64 {
        if self.kappa <= 0.0 {
            return self.odds_tail(self.p, self.q, -self.kappa).ln();
        }
        let log_whole = self.log_whole();
        let log_rest = self.odds_tail(self.q, self.p, self.kappa).ln();
        if log_rest - log_whole < LOG_MOST_TAKEN {
            log_difference(log_whole, log_rest)
        } else {
            self.odds_tail(self.p, self.q, -self.kappa).ln()
        }
    }

    /// `ln[B(α, β)/(p^α q^β)]`.
    pub(super) fn log_whole(self) -> f64 {
        let n = self.alpha + self.beta;
        let (inside, outside) = (n * self.p, n * self.q);
        let divergence = inside * entropy(-self.kappa / inside) + outside * entropy(self.kappa / outside);
        let remainders =
            stirling_remainder(self.alpha) + stirling_remainder(self.beta) - stirling_remainder(n);
        divergence + remainders + LN_SQRT_TWO_PI + 0.5 * (n.ln() - self.alpha.ln() - self.beta.ln())
    }

    /// `∫₀^∞ exp(−slope θ − n [ln(q + p e^(−θ)) + pθ]) dθ`.
    fn odds_tail(self, p: f64, q: f64, slope: f64) -> f64 {
        let n = self.alpha + self.beta;
        let exponent = |theta: f64| slope * theta + n * log_odds_remainder(theta, p, q);
        let rate = slope.max(0.0) + (n * p).min((n * p * q).sqrt());
        integral(exponent, rate.recip())
    }
}

/// `ln(q + p e^(−θ)) + pθ` for θ from 0 on, which is about p q θ²/2 for small and pθ for large ones.
fn log_odds_remainder(theta: f64, p: f64, q: f64) -> f64 {
    let near = if p <= q {
        p * (-theta).exp_m1()
    } else {
        q * theta.exp_m1()
    };
    if near.abs() >= CLOSE_ODDS {
        // Here the parts are too far apart to cancel.
        (q + p * (-theta).exp()).ln() + p * theta
    } else if p <= q {
        p * exp_remainder(-theta) - log_remainder(near)
    } else {
        q * exp_remainder(theta) - log_remainder(near)
    }
}

/// `ln(e^a − e^b)` for a above b; negative infinity where rounding has left none of the difference.
fn log_difference(a: f64, b: f64) -> f64 {
    a + (-(b - a).exp()).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// α, β, κ, p, q, and the values below p and on the whole.
    const BETA_REFERENCE: [(f64, f64, f64, f64, f64, f64, f64); 31] = [
        (0.0005, 0.0005, 0.0, 0.5, 0.5, 7.601595195789403, 8.29474237634935),
        (
            1e-09,
            0.0009999990000000001,
            0.0,
            1e-06,
            0.999999,
            20.72326583794641,
            20.723266851760776,
        ),
        (
            0.000999999,
            1.0000000000287558e-09,
            0.0,
            0.999999,
            1.0000000000287557e-06,
            6.921475604123063,
            20.72326685173202,
        ),
        (
            0.0005,
            0.0095,
            0.0,
            0.05,
            0.95,
            7.601415132876059,
            7.654173149526731,
        ),
        (
            0.0095,
            0.0005000000000000004,
            0.0,
            0.95,
            0.050000000000000044,
            4.685870570105572,
            7.65417314952673,
        ),
        (0.2, 0.8, 0.3, 0.5, 0.5, 2.184154617026671, 2.3692706813905673),
        (0.8, 0.2, -0.3, 0.5, 0.5, 0.5913677975620207, 2.3692706813905673),
        (
            1e-06,
            0.999999,
            0.0,
            1e-06,
            0.999999,
            13.815511557963774,
            13.815525373475976,
        ),
        (
            0.999999,
            1.0000000000287557e-06,
            0.0,
            0.999999,
            1.0000000000287557e-06,
            2.6257999413017026,
            13.815525373447223,
        ),
        (
            99.9999,
            0.00010000000000287557,
            0.0,
            0.999999,
            1.0000000000287557e-06,
            2.1567394512607865,
            9.211304193476005,
        ),
        (
            4.9999999999999996e-05,
            99.99995,
            5e-05,
            1e-06,
            0.999999,
            9.903587547586499,
            9.904019461256825,
        ),
        (
            11.879999999999999,
            0.1200000000000001,
            0.0,
            0.99,
            0.010000000000000009,
            0.7927131276984013,
            2.4417270928260213,
        ),
        (
            8.879999999999999,
            3.12,
            3.0,
            0.99,
            0.010000000000000009,
            8.110228399911518,
            8.110327570828971,
        ),
        (
            11.98,
            0.0200000000000001,
            -0.1,
            0.99,
            0.010000000000000009,
            0.6704860023673009,
            4.064475100189822,
        ),
        (
            11.0,
            29.0,
            -3.0,
            0.2,
            0.8,
            -1.4243074074512334,
            0.5373754745007782,
        ),
        (
            3.0000000000000004,
            37.0,
            5.0,
            0.2,
            0.8,
            2.856180231844521,
            2.8657065979877507,
        ),
        (
            1425.1,
            74.90000000000006,
            -0.1,
            0.95,
            0.050000000000000044,
            -1.9440483090611984,
            -1.212341138512388,
        ),
        (
            1385.0,
            115.00000000000007,
            40.0,
            0.95,
            0.050000000000000044,
            8.309871392070896,
            8.30987730450908,
        ),
        (
            24.999999999999932,
            1475.0,
            1400.0,
            0.95,
            0.050000000000000044,
            4292.1595605567945,
            4292.1595605567945,
        ),
        (
            1495.0,
            5.000000000000067,
            -70.0,
            0.95,
            0.050000000000000044,
            -4.262709057730628,
            58.28410061654722,
        ),
        (
            10000.0,
            990000.0,
            0.0,
            0.01,
            0.99,
            -4.371729200916546,
            -3.6811981506815865,
        ),
        (
            501000.0,
            499000.0,
            -1000.0,
            0.5,
            0.5,
            -7.078853875389523,
            -3.295665981876719,
        ),
        (
            499000.0,
            501000.0,
            1000.0,
            0.5,
            0.5,
            -3.3186788083338654,
            -3.295665981876719,
        ),
        (
            7000.0,
            993000.0,
            3000.0,
            0.01,
            0.99,
            504.3118925820996,
            504.3118925820996,
        ),
        (
            999000000050.0,
            999999950.0000008,
            -50.0,
            0.999,
            0.0010000000000000009,
            -10.136611442054203,
            -9.44219285879216,
        ),
        (
            10000.0,
            9999990000.0,
            0.0,
            1e-06,
            0.999999,
            -4.376713917830619,
            -3.686222819449838,
        ),
        (
            9999989700.0,
            10300.000000287557,
            300.0,
            0.999999,
            1.0000000000287557e-06,
            0.7532317543846541,
            0.7546651394820231,
        ),
        (
            949999900000000.0,
            50000100000000.05,
            100000000.0,
            0.95,
            0.050000000000000044,
            90.43615358516165,
            90.43615358516165,
        ),
        (
            950000100000000.0,
            49999900000000.05,
            -100000000.0,
            0.95,
            0.050000000000000044,
            -18.425375616478878,
            90.43628844388742,
        ),
        // Of the whole, next to nothing is below the point, though the mean is.
        (
            1.06996501,
            3.4989999999996384e-05,
            9.999999999997918e-10,
            0.9999673,
            3.269999999999662e-05,
            2.324422318704392,
            10.260840788375386,
        ),
        (
            0.29999397,
            6.030000000006e-06,
            2.999999999999962e-08,
            0.99998,
            2.0000000000020002e-05,
            2.6207309098110323,
            12.018852430289774,
        ),
    ];

    fn assert_close(found: f64, expected: f64, what: &str) {
        let allowed = 1e-12 * expected.abs().max(1.0);
        assert!(
            (found - expected).abs() <= allowed,
            "{what}: {found} is not {expected}"
        );
    }

    /// Shape, excess and value; reference values here are of mpmath 1.4 with 40 digits.
    #[test]
    fn gamma_tails_match() {
        let reference = [
            (1e-09, 0.0, 20.72326583794641),
            (0.3, 0.0, 1.4381023585446817),
            (0.3, 31.0, 31.362712565554244),
            (0.3, 32.0, 32.353277825749494),
            (7.0, -2.0, -1.1230699304265506),
            (7.0, 30.0, 18.3028258231397),
            (50.0, 0.0, -1.6916271234499856),
            (50.0, -49.0, -3.8922280587137483),
            (50.0, -17.9, -2.964510808322783),
            (50.0, -18.1, -2.973729259273174),
            (10000.0, -0.001, -4.376722371449032),
            (10000.0, 250.0, -0.6188884206776993),
            (10000.0, 90000.0, 66970.46284674009),
            (1000000.0, -300.0, -6.905607730551973),
            (1000000.0, 5000.0, 6.469671999733198),
            (100000000000000.0, 0.0, -15.892304271717439),
            (100000000000000.0, -30000000.0, -17.30688331475697),
            (100000000000000.0, 30000000.0, -10.700508828901615),
            (1e-09, 100.0, 120.72326583276403),
            (2.0, 100000.0, 99978.97410907046),
            (1000000.0, -999999.0, -13.815509557964774),
        ];
        for (shape, excess, expected) in reference {
            assert_close(
                log_gamma_tail(shape, excess),
                expected,
                &format!("{shape}, {excess}"),
            );
        }
    }

    #[test]
    fn beta_tails_match() {
        for (alpha, beta, kappa, p, q, below, whole) in BETA_REFERENCE {
            let cut = Cut {
                alpha,
                beta,
                kappa,
                p,
                q,
            };
            assert_close(cut.log_whole(), whole, &format!("{cut:?}"));
            assert_close(cut.log_below(), below, &format!("{cut:?}"));
        }
    }
}
