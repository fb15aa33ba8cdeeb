//! A process that may open no more files still serves once it may. Alone in its process: the limit is everyone's.
#![cfg(unix)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use retort_web::bounds::Bounds;
use retort_web::server::{Listening, serve};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_descriptors_waits_for_some() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(200), maximum }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listening = Listening::new(Bounds::default());
    // They wait in the system's queue; to accept them takes descriptors that are not there.
    let clients: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
    let files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!files.is_empty());

    let router = Router::new().route("/", get(async || "hello"));
    let server = tokio::spawn({
        let listening = listening.clone();
        async move { serve(listener, None, router, &listening, std::future::pending()).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(listening.open(), 0);
    assert!(!server.is_finished());
    drop(files);
    let answered = spawn_blocking(move || {
        for mut client in clients {
            client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with("hello"), "{answer}");
        }
    });
    answered.await.unwrap();
    server.abort();
}
