//! The command in hand: how it starts, goes on and is over.

use super::{
    Action, Device, PROGRESS_STEP, REBOOT,
    answering::{error, plain},
    job::{Job, Stage},
    update::{self, Update},
};
use crate::model::{Begun, Course};
use protocol::{Answer, AnswerStatus, Delivery, Timestamp};
use serde_json::json;

impl Device {
    /// Goes on with it, if there is one.
    pub(super) fn go_on(&mut self, now: Timestamp) {
        let Some(job) = self.job.take() else { return };
        match job.stage {
            Stage::Held { until } if now >= until => self.start(now, job.delivery),
            Stage::Restarting { until } if now >= until => self.come_back(&job.delivery),
            Stage::Working { told } => self.work_on(job.delivery, told),
            Stage::Loading { told } => self.load_on(now, job.delivery, told),
            Stage::Held { .. } | Stage::Restarting { .. } => self.job = Some(job),
        }
    }

    /// Starts the next that waits, where nothing is in hand.
    pub(super) fn start_waiting(&mut self, now: Timestamp) {
        while self.job.is_none()
            && let Some((delivery, hold)) = self.waiting.pop_front()
        {
            match hold {
                Some(hold) => {
                    let stage = Stage::Held { until: now.plus(hold) };
                    self.job = Some(Job { delivery, stage });
                }
                None => self.start(now, delivery),
            }
        }
    }

    fn start(&mut self, now: Timestamp, delivery: Delivery) {
        if now > delivery.not_after {
            let error = error("too_late", "its time to start was over before its turn came");
            return self.refuse(&delivery, error);
        }
        if delivery.name == "reboot" {
            return self.restart(now, delivery);
        }
        if delivery.name == "firmware_update" {
            return self.load(now, delivery);
        }
        if delivery.name == "config_update" {
            return self.configure(&delivery);
        }
        match self.machine.begin(&delivery.name, &delivery.params) {
            Err(error) => self.refuse(&delivery, error),
            Ok(Begun::Done(result)) => self.succeed(&delivery, result),
            Ok(Begun::Working) => {
                self.answer(&delivery, plain(AnswerStatus::Started));
                self.job = Some(Job { delivery, stage: Stage::Working { told: 0.0 } });
            }
        }
    }

    fn load(&mut self, now: Timestamp, delivery: Delivery) {
        match Update::new(&delivery.params, now) {
            Err(error) => self.refuse(&delivery, error),
            Ok(update) => {
                self.update = Some(update);
                self.answer(&delivery, plain(AnswerStatus::Started));
                self.job = Some(Job { delivery, stage: Stage::Loading { told: 0.0 } });
            }
        }
    }

    /// Loads on; what is whole and right is booted.
    fn load_on(&mut self, now: Timestamp, delivery: Delivery, told: f64) {
        let Some(update) = self.update.take() else { return };
        let percent = update.percent(now);
        if percent < 100.0 {
            self.update = Some(update);
            self.tell_progress(delivery, percent, told, |told| Stage::Loading { told });
        } else if let Err(error) = update.check() {
            self.give_up(&delivery, error);
        } else {
            self.update = Some(update);
            self.reboot(now, delivery);
        }
    }

    fn configure(&mut self, delivery: &Delivery) {
        match update::config(&delivery.params) {
            Err(error) => self.give_up(delivery, error),
            Ok((version, config)) => {
                let result = json!({ "config_version": version });
                self.config = Some((version, config));
                self.succeed(delivery, result);
                self.actions.push_back(Action::Report);
            }
        }
    }

    fn restart(&mut self, now: Timestamp, delivery: Delivery) {
        self.answer(&delivery, plain(AnswerStatus::Started));
        self.reboot(now, delivery);
    }

    fn reboot(&mut self, now: Timestamp, delivery: Delivery) {
        self.actions.push_back(Action::Restart(REBOOT));
        self.job = Some(Job { delivery, stage: Stage::Restarting { until: now.plus(REBOOT) } });
    }

    fn come_back(&mut self, delivery: &Delivery) {
        self.boots += 1;
        self.machine.restart();
        let mut result = json!({ "boots": self.boots });
        if let Some(update) = self.update.take() {
            self.firmware = update.version;
            result["firmware"] = self.firmware.as_str().into();
        }
        // The answer first: what is expected of a command is looked for behind it.
        self.succeed(delivery, result);
        self.actions.push_back(Action::Report);
    }

    fn work_on(&mut self, delivery: Delivery, told: f64) {
        match self.machine.course() {
            Course::Done(result) => self.succeed(&delivery, result),
            Course::Percent(percent) => {
                self.tell_progress(delivery, percent, told, |told| Stage::Working { told });
            }
        }
    }

    /// Tells how far the work is, where that grew enough, and goes on.
    fn tell_progress(
        &mut self,
        delivery: Delivery,
        percent: f64,
        told: f64,
        stage: impl Fn(f64) -> Stage,
    ) {
        let is_new = percent >= told + PROGRESS_STEP;
        if is_new {
            let progress = Some(percent.round());
            self.answer(&delivery, Answer { progress, ..plain(AnswerStatus::Progress) });
        }
        self.job = Some(Job { delivery, stage: stage(if is_new { percent } else { told }) });
    }
}
