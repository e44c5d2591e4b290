//! What somebody may have meant.

/// Names less alike are not offered.
const LIKENESS_MIN: f64 = 0.78;

/// The known name that is most like another one, if any is.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness =
        |known: &str| strsim::jaro_winkler(known, name).max(strsim::normalized_damerau_levenshtein(known, name));
    let best = known.into_iter().map(|known| (likeness(known), known)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= LIKENESS_MIN).then_some(best.1)
}

/// `did you mean ...?`, or nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|known| format!("did you mean `{known}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_slip_is_recognised_and_a_strange_one_is_not() {
        assert_eq!(nearest("fanuot", ["slack", "fanout"]), Some("fanout"));
        assert_eq!(nearest("quic", ["webrtc"]), None);
    }
}
