//! What an MQTT client sends, cut into packets and read.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gateway::fuzzing::packets(bytes));
