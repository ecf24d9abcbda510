//! A JSON Web Token, or a file of keys for them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gateway::fuzzing::jwt(bytes));
