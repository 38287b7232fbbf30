//! The known name that is nearest to one that was mistyped.

/// `known` must not be empty.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> &'a str {
    known
        .into_iter()
        .min_by_key(|name| strsim::damerau_levenshtein(written, name))
        .expect("there is at least one known name")
}
