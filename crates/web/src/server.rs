//! The accept loop: connections in bounded number, each bounded in time and memory, and an orderly end.

mod connection;
mod listening;
mod registry;
mod tls;

use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::bounds::{ACCEPT_PAUSE, ACCEPT_PAUSE_MOST};
use connection::Connection;

pub use listening::{Listening, Peer, Stopping};
pub use tls::{Tls, TlsError};

/// Answers with the router until `stop` ends; then takes no more connections, and lets running requests finish.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    listening: &Listening,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let router = router.with_state(());
    let mut pause = ACCEPT_PAUSE;
    let mut was_full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                pause = ACCEPT_PAUSE;
                let room = listening.room_for(from).await;
                if room.is_none() && !was_full {
                    tracing::warn!(most = listening.most, "connections are refused: too many");
                }
                was_full = room.is_none();
                let Some((slot, place)) = room else {
                    refuse(stream, tls.is_some());
                    continue;
                };
                let connection = Connection {
                    peer: Peer(from),
                    router: router.clone(),
                    listening: listening.clone(),
                    entry: Arc::clone(&place.entry),
                };
                let (tls, cut) = (tls.clone(), listening.cut.wait());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection.run(stream, tls) => {}
                        () = cut => {}
                        () = place.entry.is_to_close() => {}
                    }
                    drop((slot, place));
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if pause == ACCEPT_PAUSE {
                    tracing::warn!(%error, "no connection can be accepted for now");
                }
                tokio::select! {
                    () = &mut stop => break,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(ACCEPT_PAUSE_MOST);
            }
        }
    }
    drop(listener);
    listening.stopping.begin();
    listening.finish().await;
}

/// Says that there are too many, if that takes no waiting, and closes.
fn refuse(stream: TcpStream, has_tls: bool) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
        content-length: 0\r\nretry-after: 2\r\n\r\n";
    if !has_tls && let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(ANSWER);
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
