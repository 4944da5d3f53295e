//! Amounts of memory and CPU, in the part of Kubernetes' notation that the API takes: `128Mi`, `1.5`, `500m`.

/// Thousandths of a byte or core. `None` where the text is no quantity of that form.
///
/// The crates for this are tied to other versions of the API types; the notation is small, and whoever compares what
/// the API server has compared before must agree with it.
#[must_use]
pub fn milli(text: &str) -> Option<i128> {
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let unit: i128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000_i128.pow(2),
        "G" => 1000 * 1000_i128.pow(3),
        "T" => 1000 * 1000_i128.pow(4),
        "Ki" => 1000 * 1024,
        "Mi" => 1000 * 1024_i128.pow(2),
        "Gi" => 1000 * 1024_i128.pow(3),
        "Ti" => 1000 * 1024_i128.pow(4),
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || whole.len() > 12 || fraction.is_empty() || fraction.len() > 3 {
        return None;
    }
    let thousandths = whole.parse::<i128>().ok()? * 1000 + format!("{fraction:0<3}").parse::<i128>().ok()?;
    // Rounded up, as Kubernetes does.
    Some((thousandths * unit + 999) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_compare_by_what_they_mean() {
        assert_eq!(milli("128Mi"), Some(128 * 1024 * 1024 * 1000));
        assert_eq!(milli("0.5"), milli("500m"));
        assert_eq!(milli("1.5k"), milli("1500"));
        assert!(milli("1G") < milli("1Gi"));
        for bad in ["", "Mi", "1.", ".5", "1e3", "-1", "1 Mi", "1.2345", "1..2", "9999999999999"] {
            assert_eq!(milli(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,30}") {
            let _ = milli(&text);
        }

        #[test]
        fn more_is_more(a in 0_u32..1_000_000, b in 0_u32..1_000_000) {
            prop_assert_eq!(milli(&format!("{a}Mi")).cmp(&milli(&format!("{b}Mi"))), a.cmp(&b));
        }
    }
}
