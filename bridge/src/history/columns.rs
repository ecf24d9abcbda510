//! Values by metric: which column a value belongs to.

use super::Row;
use crate::data::{Data, Fields};
use std::collections::{BTreeMap, HashMap};

/// One of `T` for each metric.
#[derive(Debug)]
pub(super) struct Columns<T> {
    places: HashMap<Box<str>, usize>,
    columns: Vec<(Box<str>, T)>,
    /// Where the metrics of the row before went: the next is most likely alike.
    likely: Vec<usize>,
}

impl<T> Default for Columns<T> {
    fn default() -> Self {
        Self { places: HashMap::new(), columns: Vec::new(), likely: Vec::new() }
    }
}

impl<T: Default> Columns<T> {
    /// Gives each wanted value of a row to its column.
    pub(super) fn each<'a>(
        &mut self,
        row: &'a Row,
        fields: Option<&Fields>,
        mut give: impl FnMut(&mut T, &'a str),
    ) {
        let Data::Metrics(metrics) = &row.data else { return };
        for (index, (name, text)) in metrics.iter().enumerate() {
            if fields.is_none_or(|fields| fields.has(name)) {
                let place = self.place(index, name);
                if let Some((_, column)) = self.columns.get_mut(place) {
                    give(column, text);
                }
            }
        }
    }

    fn place(&mut self, index: usize, name: &str) -> usize {
        if let Some(likely) = self.likely.get(index)
            && self.columns.get(*likely).is_some_and(|(known, _)| **known == *name)
        {
            return *likely;
        }
        let place = self.places.get(name).copied().unwrap_or_else(|| self.new_column(name));
        self.likely.resize(self.likely.len().max(index + 1), place);
        if let Some(likely) = self.likely.get_mut(index) {
            *likely = place;
        }
        place
    }

    fn new_column(&mut self, name: &str) -> usize {
        let place = self.columns.len();
        self.places.insert(name.into(), place);
        self.columns.push((name.into(), T::default()));
        place
    }

    /// What became of each column, by the metric's name.
    pub(super) fn into_metrics<U>(self, mut column: impl FnMut(T) -> U) -> BTreeMap<String, U> {
        let named = |(name, cells): (Box<str>, T)| (unquoted(&name), column(cells));
        self.columns.into_iter().map(named).collect()
    }
}

/// The name that stands in JSON between quotes.
fn unquoted(name: &str) -> String {
    if name.contains('\\') {
        serde_json::from_str(&format!("\"{name}\"")).unwrap_or_else(|_| name.into())
    } else {
        name.into()
    }
}
