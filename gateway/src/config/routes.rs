//! Topics that feed channels and topics of devices' own: `[[routes]]`, `[[mappings]]`.

use super::{
    Config,
    check::{Unusable, unusable},
};
use bridge::{
    mapping::Mappings,
    route::{self, Codec, RouteTable},
};
use serde::{Deserialize, Serialize};

/// A route from topics to channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The topic's template: `{name}` stands for one level, a last `{name...}` for the rest.
    pub topic: String,
    /// The channel's template, with names of the topic's.
    pub channel: String,
    /// How the payload reads: `json`, `scalar` or `text`.
    #[serde(default)]
    pub payload: Codec,
}

impl Config {
    /// The routes, compiled.
    ///
    /// # Errors
    /// Each route that cannot be, by its place.
    pub fn routes(&self) -> Result<RouteTable, Vec<Unusable>> {
        let (mut routes, mut mistakes) = (Vec::new(), Vec::new());
        for (index, route) in self.routes.iter().enumerate() {
            match route::Route::new(&route.topic, &route.channel, route.payload) {
                Ok(route) => routes.push(route),
                Err(error) => {
                    mistakes.push(unusable(&format!("routes[{index}]"), error.to_string()));
                }
            }
        }
        if mistakes.is_empty() { Ok(RouteTable::new(routes)) } else { Err(mistakes) }
    }

    /// The mappings, compiled.
    ///
    /// # Errors
    /// Each mapping that cannot be, by its place.
    pub fn mappings(&self) -> Result<Mappings, Vec<Unusable>> {
        let payload_bytes_max = self.limits.command_params_bytes as usize;
        let compiled = Mappings::new(&self.mappings, payload_bytes_max);
        compiled.map_err(|mistakes| {
            let named = |(place, why)| unusable(&format!("mappings[{place}]"), why);
            mistakes.into_iter().map(named).collect()
        })
    }
}
