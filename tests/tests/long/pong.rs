//! A client whose machine has gone without a word: it answers no ping.

use std::time::{Duration, Instant};
use tests::{TestGateway, soon};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// A ping comes after 25 seconds, its pong is late 10 seconds later.
const LATE_AFTER: Duration = Duration::from_secs(35);

#[tokio::test]
async fn who_answers_no_ping_is_closed_with_its_own_code() {
    let gateway = TestGateway::start().await;
    let mut stream = soon("a connection", TcpStream::connect(gateway.http())).await.expect("open");
    let handshake = format!(
        "GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        gateway.http()
    );
    stream.write_all(handshake.as_bytes()).await.expect("it is open");
    let begin = Instant::now();
    let mut sent = Vec::new();
    let ended = timeout(LATE_AFTER + Duration::from_secs(15), stream.read_to_end(&mut sent)).await;
    ended.expect("it is closed in time").expect("in order");
    let contains = |bytes: &[u8]| sent.windows(bytes.len()).any(|part| part == bytes);
    assert!(contains(&[0x89, 0]), "it was pinged");
    let [high, low] = 4112_u16.to_be_bytes();
    assert!(contains(&[0x88, 9, high, low]), "a close frame with 4112 and 'no pong'");
    assert!(begin.elapsed() >= LATE_AFTER, "{:?}", begin.elapsed());
    gateway.until_metric("sluice_websocket_closed_no_pong_total", 1).await;
}
