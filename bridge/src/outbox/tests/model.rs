//! Readers of any pace beside the plainest model of a channel.

use super::*;
use proptest::prelude::*;
use serde_json::Value as Json;

/// What a step of a random run does; channel `i` is always delivered the same way.
#[derive(Clone, Debug)]
enum Step {
    Offer(usize, usize),
    Wait(i64),
    Take(usize),
    Withdraw(usize),
    Release(usize),
}

const CHANNELS: [(&str, Delivery); 4] = [
    ("telemetry/every", Delivery::Every),
    ("telemetry/latest", EACH_FRAME),
    ("telemetry/fast", Delivery::Latest { interval: Millis(10) }),
    ("telemetry/slow", Delivery::Latest { interval: Millis(35) }),
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..CHANNELS.len(), 0..3_usize).prop_map(|(channel, metric)| Step::Offer(channel, metric)),
        3 => prop_oneof![Just(5), Just(10), Just(35), 0..40_i64].prop_map(Step::Wait),
        3 => prop_oneof![Just(1), Just(150), Just(1 << 20)].prop_map(Step::Take),
        1 => (0..CHANNELS.len()).prop_map(Step::Withdraw),
        1 => (0..CHANNELS.len()).prop_map(Step::Release),
    ];
    proptest::collection::vec(step, 0..120)
}

/// The plainest model of one channel: all that was offered, all that came.
#[derive(Default)]
struct Model {
    offered: u64,
    /// The newest value of each metric, since the channel was withdrawn.
    truth: HashMap<usize, u64>,
    seen: HashMap<usize, u64>,
    /// The seq of what came, and when.
    got: Vec<(u64, i64)>,
    /// A withdrawn or released channel forgets its pace, as a new subscription would.
    paceless: bool,
}

fn read(models: &mut [Model], frame: &str, now: i64) {
    let messages: Vec<Json> = serde_json::from_str(frame).unwrap();
    for message in messages {
        let channel = CHANNELS.iter().position(|(name, _)| message["channel"] == *name).unwrap();
        models[channel].got.push((message["seq"].as_u64().unwrap(), now));
        for (metric, value) in message["data"].as_object().unwrap() {
            models[channel].seen.insert(metric.parse().unwrap(), value.as_u64().unwrap());
        }
    }
}

proptest! {
    #[test]
    fn every_comes_whole_and_a_modest_reader_ends_with_the_truth_at_its_pace(steps in steps()) {
        let mut outbox = outbox();
        let mut models: Vec<Model> = CHANNELS.iter().map(|_| Model::default()).collect();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Offer(channel, metric) => {
                    let model = &mut models[channel];
                    model.offered += 1;
                    model.truth.insert(metric, model.offered);
                    let metrics = format!(r#"{{"{metric}":{}}}"#, model.offered);
                    let (name, delivery) = CHANNELS[channel];
                    offer(&mut outbox, now, &update(name, model.offered, &metrics), delivery);
                }
                Step::Wait(ms) => now += ms,
                Step::Take(bytes) => {
                    if let Some(frame) = outbox.take(Timestamp(now), bytes) {
                        read(&mut models, &text(frame), now);
                    }
                }
                Step::Withdraw(channel) => {
                    outbox.withdraw(&CHANNELS[channel].0.parse().unwrap());
                    if CHANNELS[channel].1 != Delivery::Every {
                        // What waited is gone: only what is offered from here on must come.
                        models[channel].truth.clear();
                        models[channel].paceless = true;
                    }
                }
                Step::Release(channel) => {
                    let _wake = outbox.release(&CHANNELS[channel].0.parse().unwrap());
                    models[channel].paceless = true;
                }
            }
        }
        while outbox.is_ready(Timestamp(now)) || outbox.next_due().is_some() {
            now = outbox.next_due().map_or(now, |at| at.0.max(now));
            if let Some(frame) = outbox.take(Timestamp(now), 1 << 20) {
                read(&mut models, &text(frame), now);
            }
        }
        prop_assert_eq!(outbox.bytes(), 0);
        for (model, (name, delivery)) in models.iter().zip(CHANNELS) {
            let seqs: Vec<u64> = model.got.iter().map(|(seq, _)| *seq).collect();
            prop_assert!(seqs.is_sorted_by(|a, b| a < b), "{name}: {seqs:?}");
            for (metric, value) in &model.truth {
                prop_assert_eq!(model.seen.get(metric), Some(value), "{}", name);
            }
            match delivery {
                Delivery::Every => prop_assert_eq!(seqs.len() as u64, model.offered),
                Delivery::Latest { interval } if !model.paceless => {
                    let least = interval.0 as i64;
                    let paced = model.got.windows(2).all(|pair| pair[1].1 - pair[0].1 >= least);
                    prop_assert!(paced, "{name}: {:?}", model.got);
                }
                Delivery::Latest { .. } => {}
            }
        }
    }
}
