//! Tells lists of names apart without a look at them.

use ahash::RandomState;
use std::{
    hash::{BuildHasher as _, Hasher as _},
    num::NonZeroU64,
    sync::LazyLock,
};

/// The names of metrics in their order, without escapes, as a digest: equal where they are the same. Others have the same one
/// by chance only, one in 2^64, which nobody can look for: the key is drawn anew at each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Names(NonZeroU64);

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Makes them.
pub(super) struct Digester(&'static RandomState);

impl Digester {
    pub(super) fn new() -> Self {
        Self(&KEY)
    }

    /// What stands for one name.
    pub(super) fn name(&self, name: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(name);
        hasher.finish()
    }

    /// What stands for all, given what stands for each.
    pub(super) fn names(&self, names: &[u64]) -> Names {
        let mut hasher = self.0.build_hasher();
        names.iter().for_each(|name| hasher.write_u64(*name));
        Names(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MAX))
    }
}
