//! The binary: its exit codes, and what it says.

use std::process::{Command, Output};

fn device_sim(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_device-sim"))
        .args(flags)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary runs")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are UTF-8")
}

#[test]
fn wrong_flags_end_with_64_and_a_hint() {
    for flags in
        [&["--devices", "0"][..], &["--chaos", "fail=2"], &["--prefix", "a/"], &["--colour"]]
    {
        let output = device_sim(flags);
        assert_eq!(output.status.code(), Some(64), "{flags:?}");
        assert!(said(&output).contains("--help"), "{flags:?}: {}", said(&output));
    }
}

#[test]
fn help_is_no_mistake() {
    let output = device_sim(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("--chaos"));
}

#[test]
fn a_broker_that_is_never_there_ends_with_1_and_the_reason() {
    // Port 1 (tcpmux) is privileged and nobody serves it.
    let output = device_sim(&["--devices", "2", "--mqtt", "127.0.0.1:1", "--duration", "1500ms"]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(said.contains("2 devices ran for 1.5 s"), "{said}");
    assert!(
        said.contains("no device could connect to 127.0.0.1:1: I/O: Connection refused"),
        "{said}"
    );
}
