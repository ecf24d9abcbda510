//! Shared subscriptions `$share/{name}/{filter}`: what of them is the filter.

/// The share's name, where it is shared, and the filter; none: `text` is no filter, as `$share/x` is none.
pub(crate) fn parts(text: &str) -> Option<(Option<&str>, &str)> {
    let Some(shared) = text.strip_prefix("$share/") else { return Some((None, text)) };
    let (name, filter) = shared.split_once('/')?;
    // The name of a share has a character and no wildcard `[MQTT-4.8.2-1]`.
    let is_name = !name.is_empty() && !name.contains(['+', '#']);
    is_name.then_some((Some(name), filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_a_name_and_a_filter() {
        assert_eq!(parts("a/#"), Some((None, "a/#")));
        assert_eq!(parts("$share/g/a/#"), Some((Some("g"), "a/#")));
        for wrong in ["$share/g", "$share//a", "$share/+/a", "$share/g#/a"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
