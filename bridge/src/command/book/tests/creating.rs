//! What is created, once, and what is refused.

use super::*;

#[test]
fn open_commands_are_bounded_and_old_ended_ones_forgotten() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..3).map(|_| bench.create(json!({"name": "a", "ttl_ms": 5}))).collect();
    let refused = bench.try_create(json!({"name": "a"}));
    assert_eq!(refused, Err(CreateError::TooMany { device: device(), max: 3 }));
    bench.wait(5);
    assert!(bench.commands.get(ids[0]).is_none());
    assert_eq!(bench.state(ids[2]), CommandState::Expired);
    assert_eq!(bench.commands.open_count(), 0);
}

#[test]
fn values_that_cannot_be_are_refused_by_name() {
    let mut bench = Bench::new();
    for (request, named) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "a", "timeout_ms": 0}), "timeout_ms 0"),
        (json!({"name": "a", "ttl_ms": 9_999_999_999_u64}), "ttl_ms 9999999999"),
    ] {
        let refused = bench.try_create(request).unwrap_err().to_string();
        assert!(refused.contains(named), "{refused}");
    }
}

#[test]
fn what_nests_too_deep_is_refused_alone_in_a_batch_and_in_a_dry_run() {
    let mut bench = Bench::new();
    let deep = json!({"x": nested(100)});
    let expect = json!({"metric": "m", "op": "==", "value": nested(101)});
    for (request, what) in [
        (json!({"name": "a", "params": deep}), "params"),
        (json!({"name": "a", "expect": expect}), "expect.value"),
    ] {
        let why = format!("{what} nests more than 100 levels deep");
        let alone = bench.try_create(request.clone()).map(drop);
        assert_eq!(alone, Err(CreateError::Invalid(why.clone())));
        let batch = json!({"devices": ["d"], "command": request});
        let batch = batches::try_start(&mut bench, 1, batch, None).map(drop);
        assert_eq!(batch, Err(CreateError::Invalid(why.clone())));
        let request = serde_json::from_value(request).unwrap();
        let dry = bench.commands.dry_run(bench.time(), &device(), &request, vec![], "ada");
        assert_eq!((dry.valid, dry.errors), (false, vec![why]));
    }
}

#[test]
fn the_same_key_and_request_give_the_same_command_and_another_request_a_conflict() {
    let mut bench = Bench::new();
    let mut ask =
        |name: &str| bench.try_create_with_key(json!({"name": name, "ttl_ms": 5}), Some("k"));
    let first = ask("a").unwrap();
    assert_eq!(ask("a"), Ok(first));
    assert_eq!(ask("b"), Err(CreateError::KeyReused("k".into())));
    assert_eq!(bench.commands.open_count(), 1);
}

#[test]
fn a_key_is_forgotten_with_its_command() {
    let mut bench = Bench::new();
    for key in ["a", "b", "c", "d"] {
        bench.try_create_with_key(json!({"name": "a", "ttl_ms": 0}), Some(key)).unwrap();
    }
    assert_eq!(bench.commands.keys.len(), 2);
}

#[test]
fn a_dry_run_says_what_would_happen_and_makes_nothing() {
    let mut bench = Bench::new();
    bench.create(json!({"name": "a"}));
    let request = |value| serde_json::from_value(value).unwrap();
    let dry = |bench: &Bench, value| {
        bench.commands.dry_run(bench.time(), &device(), &request(value), vec![], "ada")
    };
    let good = dry(&bench, json!({"name": "b", "ttl_ms": 7}));
    assert_eq!((good.valid, good.position, good.receiver), (true, 1, Status::Offline));
    assert_eq!(good.deliver_by, Timestamp(1_007));
    assert_eq!(dry(&bench, json!({"name": "b", "priority": 1})).position, 0);
    bench.create(json!({"name": "a", "supersede": "k"}));
    assert_eq!(dry(&bench, json!({"name": "b", "supersede": "k"})).position, 1);
    let tonight = json!({"name": "b", "supersede": "k", "not_before": 5_000});
    assert_eq!(dry(&bench, tonight).position, 2, "now it takes no place");
    let bad = dry(&bench, json!({"name": ""}));
    assert_eq!((bad.valid, bad.errors.len()), (false, 1));
    assert_eq!(bench.commands.open_count(), 2);
}
