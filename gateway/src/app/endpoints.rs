//! Where the gateway can be reached, and the file that tells scripts so while it runs.

use super::error::{StartError, data_dir_error, listen_error};
use crate::{config::Config, edge::Edge, store, web};
use anyhow::Context as _;
use serde::Serialize;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The file that tells scripts where the gateway listens.
const ENDPOINTS_FILE: &str = "endpoints.json";

/// Where the gateway can be reached, as `endpoints.json` says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// MQTT over TCP.
    pub mqtt: SocketAddr,
    /// MQTT over TLS, where that is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt_tls: Option<SocketAddr>,
    /// HTTP: dashboard, WebSocket, API.
    pub http: SocketAddr,
    /// The same address, where it speaks HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<SocketAddr>,
}

impl Endpoints {
    /// Those of bound listeners.
    pub(super) fn of(
        config: &Config,
        edge: &Edge,
        web: &web::Listener,
    ) -> Result<Self, StartError> {
        let unusable = listen_error("mqtt.listen", config.mqtt.listen);
        Ok(Self {
            mqtt: edge.local_address().map_err(&unusable)?,
            mqtt_tls: edge.tls_address().map_err(&unusable)?,
            http: web.address(),
            https: config.http.tls.then(|| web.address()),
        })
    }
}

/// The file while the gateway runs.
pub(super) struct EndpointsFile(PathBuf);

impl EndpointsFile {
    /// Writes the file whole: who sees it sees all of it.
    pub(super) fn write(data_dir: &Path, endpoints: &Endpoints) -> anyhow::Result<Self> {
        let path = data_dir.join(ENDPOINTS_FILE);
        let text = serde_json::to_string(endpoints)?;
        let draft = path.with_extension("json.new");
        std::fs::write(&draft, text)
            .and_then(|()| std::fs::rename(&draft, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn remove(self) -> io::Result<()> {
        remove_if_there(&self.0)
    }
}

/// Makes the data directory; what a gateway left there that is gone is removed.
pub(super) fn prepare_data_dir(path: &Path) -> Result<(), StartError> {
    check_is_no_file(path)?;
    std::fs::create_dir_all(path).map_err(data_dir_error(path))?;
    if store::is_in_use(path) {
        // That gateway goes on, and its file with it.
        return Ok(());
    }
    remove_if_there(&path.join(ENDPOINTS_FILE)).map_err(data_dir_error(path))
}

/// What the system says of a file in the place of a directory names neither.
pub(super) fn check_is_no_file(path: &Path) -> Result<(), StartError> {
    let there = path.ancestors().find(|path| path.exists()).filter(|there| !there.is_dir());
    there.map_or(Ok(()), |file| {
        Err(StartError::NoDirectory { path: path.into(), file: file.into() })
    })
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
