//! The targets of `fuzz/` for a bounded time on the stable toolchain: each on its corpus, and then on
//! mutations of it by seed. `FUZZ_ITERATIONS` and `FUZZ_SEED` say how many and which.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what is not as expected fails the test")]

use gateway::fuzzing::TARGETS;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Enough to meet what is shallow; libFuzzer goes deeper.
const ITERATIONS: u64 = 20_000;

/// However slow the machine is.
const TIME_MAX: Duration = Duration::from_secs(20);

/// As long as inputs get.
const BYTES_MAX: usize = 4_096;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no corpus");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// One of a few changes that a fuzzer makes.
fn mutate(rng: &mut StdRng, input: &mut Vec<u8>, other: &[u8]) {
    let place = if input.is_empty() { 0 } else { rng.random_range(0..input.len()) };
    match rng.random_range(0..8) {
        0 => input.insert(place, rng.random()),
        1 if !input.is_empty() => {
            input.remove(place);
        }
        2 if !input.is_empty() => input[place] ^= 1 << rng.random_range(0..8),
        3 if !input.is_empty() => input[place] = rng.random(),
        4 if !input.is_empty() => {
            let interesting = [0, 1, 2, 0x7F, 0x80, 0xFF, b'{', b'"', b'/', b'#', b'+', b'$'];
            input[place] = interesting[rng.random_range(0..interesting.len())];
        }
        5 => input.truncate(place),
        6 if !other.is_empty() => {
            let (begin, end) =
                (rng.random_range(0..other.len()), rng.random_range(0..=other.len()));
            let piece = &other[begin.min(end)..begin.max(end)];
            input.splice(place..place, piece.iter().copied());
        }
        _ if !input.is_empty() => {
            let end = (place + rng.random_range(1..16)).min(input.len());
            let piece = input[place..end].to_vec();
            input.splice(place..place, piece);
        }
        _ => {}
    }
    input.truncate(BYTES_MAX);
}

fn check(name: &str, target: fn(&[u8]), input: &[u8], seed: u64) {
    if catch_unwind(|| target(input)).is_err() {
        let text = String::from_utf8_lossy(input);
        panic!("{name} fails with seed {seed} on {input:?}: {text}");
    }
}

#[test]
fn no_input_breaks_a_promise() {
    let (iterations, seed) = (setting("FUZZ_ITERATIONS", ITERATIONS), setting("FUZZ_SEED", 1));
    let bounded = iterations == ITERATIONS;
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        corpus.iter().for_each(|input| check(name, target, input, seed));
        let mut rng = StdRng::seed_from_u64(seed);
        let (begin, mut done) = (Instant::now(), 0);
        while done < iterations && !(bounded && begin.elapsed() > TIME_MAX) {
            done += 1;
            let mut input = corpus[rng.random_range(0..corpus.len())].clone();
            for _ in 0..rng.random_range(1..6) {
                let other = &corpus[rng.random_range(0..corpus.len())];
                mutate(&mut rng, &mut input, other);
            }
            check(name, target, &input, seed);
        }
        eprintln!("{name}: {done} inputs beside {} of the corpus", corpus.len());
    }
}

#[test]
fn each_target_is_one_of_cargo_fuzz_and_has_a_corpus() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml lacks {name}");
        assert!(folder(name).is_dir(), "fuzz/corpus/{name} is missing");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}
