//! The accept loop over raw TCP: what a client can do to it, and how it ends.

mod harness;
mod tls;

use std::io;
use std::time::Duration;

use self::harness::{SHORT, Server, ask, quick, rest, until, within};
use retort_web::bounds::Bounds;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

#[tokio::test]
async fn a_client_that_sends_its_headers_slowly_or_not_at_all_is_cut_off() {
    let server = Server::start(quick(), None).await;
    assert_eq!(server.exchange("").await, "");
    assert_eq!(server.exchange("GET / HTTP/1.1\r\nhost:").await, "");
    let (mut reader, mut writer) = server.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        writer.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx: ").await?;
        while writer.write_all(b"y").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, io::Error>(())
    });
    assert_eq!(rest(&mut reader).await, "");
    let _ = within(trickle).await;
    server.works().await;
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_but_not_for_ever() {
    let bounds = Bounds { idle: 4 * SHORT, ..quick() };
    let server = Server::start(bounds, None).await;
    let mut stream = server.connect().await;
    ask(&mut stream).await;
    // Longer than headers may take, shorter than it may idle.
    sleep(2 * SHORT).await;
    ask(&mut stream).await;
    ask(&mut stream).await;
    assert_eq!(server.listening.open(), 1);
    assert_eq!(rest(&mut stream).await, "");
    server.is_empty().await;
}

#[tokio::test]
async fn later_headers_of_a_connection_must_not_be_slow_either() {
    let server = Server::start(quick(), None).await;
    let mut stream = server.connect().await;
    ask(&mut stream).await;
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn requests_may_be_sent_without_waiting_for_the_answers() {
    let server = Server::start(quick(), None).await;
    let mut stream = server.connect().await;
    stream.write_all(&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50)).await.unwrap();
    for _ in 0..50 {
        until(&mut stream, "hello").await;
    }
}

#[tokio::test]
async fn a_body_that_stops_coming_is_answered_with_408_and_the_connection_closed() {
    let server = Server::start(quick(), None).await;
    for head in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"]
    {
        let answer = server.exchange(format!("POST /body HTTP/1.1\r\nhost: x\r\n{head}")).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.contains("\"type\":\"/problems/timeout\""), "{answer}");
    }
    server.is_empty().await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off_and_the_writer_ends() {
    let mut server = Server::start(quick(), None).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    within(server.ended.recv()).await.unwrap();
    server.is_empty().await;
}

#[tokio::test]
async fn a_client_that_goes_ends_its_download() {
    let mut server = Server::start(Bounds::default(), None).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until(&mut stream, "\r\n\r\n").await;
    drop(stream);
    within(server.ended.recv()).await.unwrap();
    server.is_empty().await;
}

#[tokio::test]
async fn more_connections_than_are_allowed_are_refused_and_there_is_room_again_later() {
    let server = Server::start(Bounds { connections: 3, ..Bounds::default() }, None).await;
    let mut held = Vec::new();
    for count in 1..=3 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        server.runs(count).await;
        held.push(stream);
    }
    for _ in 0..10 {
        let answer = rest(&mut server.connect().await).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    assert_eq!(server.listening.open(), 3);
    held.clear();
    server.is_empty().await;
    server.works().await;
}

#[tokio::test]
async fn idle_connections_shut_nobody_out() {
    for bounds in [
        Bounds { connections: 3, ..Bounds::default() },
        Bounds { connections_per_address: 3, ..Bounds::default() },
    ] {
        let server = Server::start(bounds, None).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut stream = server.connect().await;
            ask(&mut stream).await;
            held.push(stream);
            sleep(Duration::from_millis(5)).await;
        }
        // The one that has been idle for longest makes room.
        ask(&mut held[0]).await;
        let mut more = server.connect().await;
        ask(&mut more).await;
        assert_eq!(rest(&mut held[1]).await, "");
        ask(&mut held[2]).await;
        ask(&mut held[0]).await;
        assert_eq!(server.listening.open(), 3);
    }
}

/// 10,000 connections in all, but no more at a time than fit a limit of 1,024 open files, as both ends are this
/// process's.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_in_waves_leave_the_server_as_it_was() {
    let server = Server::start(Bounds::default(), None).await;
    let openings: [&[u8]; 5] = [
        b"",
        b"GET / HTTP/1.1\r\nhost: a",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc",
    ];
    for _ in 0..50 {
        let mut wave = Vec::new();
        for number in 0..200 {
            let mut stream = server.connect().await;
            stream.write_all(openings[number % openings.len()]).await.unwrap();
            wave.push(stream);
        }
        drop(wave);
        server.works().await;
    }
    server.is_empty().await;
}

#[tokio::test]
async fn what_is_no_request_or_has_too_large_headers_is_refused() {
    let server = Server::start(Bounds::default(), None).await;
    let close = "connection: close\r\n\r\n";
    let chunked = "POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n";
    let table = [
        (format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n{close}", "y".repeat(32_000)), "200"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n{close}", "y".repeat(33_000)), "431"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(1 << 20)), "431"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\n{}{close}", "x: y\r\n".repeat(98)), "200"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\n{}{close}", "x: y\r\n".repeat(99)), "431"),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n{close}", "y".repeat(40_000)), "431"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/3.7\r\n\r\n".to_owned(), "400"),
        (format!("POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n{close}"), "400"),
        (
            format!(
                "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n{close}"
            ),
            "400",
        ),
        (format!("POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n{close}"), "400"),
        (format!("{chunked}{close}x\r\n"), "400"),
        (format!("{chunked}{close}0\r\n{}\r\n", "x: y\r\n".repeat(10_000)), "400"),
    ];
    for (request, status) in table {
        let (mut reader, mut writer) = server.connect().await.into_split();
        let start: String = request.chars().take(60).collect();
        let sent = tokio::spawn(async move {
            let _ = writer.write_all(request.as_bytes()).await;
            writer
        });
        let answer = rest(&mut reader).await;
        // Where much is still to come, the connection may be reset before the answer is read.
        let is_cut = status == "431" && answer.is_empty();
        let is_refused = answer.starts_with(&format!("HTTP/1.1 {status} "));
        assert!(is_refused || is_cut, "{start}: {answer}");
        let _ = within(sent).await;
    }
    server.works().await;
    server.is_empty().await;
}

#[tokio::test]
async fn an_answer_to_a_body_that_is_refused_reaches_a_client_that_still_sends() {
    let server = Server::start(Bounds::default(), None).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..9 {
        // On a connection that was closed at once, the second would fail.
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"most_bytes\":1000"), "{answer}");
}

#[tokio::test]
async fn an_answer_waits_for_a_client_that_sends_much_before_it_looks() {
    let server = Server::start(Bounds::default(), None).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 200000000\r\n\r\n")
        .await
        .unwrap();
    let piece = vec![b'x'; 1_000_000];
    for _ in 0..200 {
        stream.write_all(&piece).await.unwrap();
    }
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn handlers_know_where_a_request_comes_from() {
    let server = Server::start(Bounds::default(), None).await;
    let mut stream = server.connect().await;
    let own = stream.local_addr().unwrap().to_string();
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.ends_with(&own));
}

#[tokio::test]
async fn ranges_preconditions_and_head_are_right_on_the_wire() {
    let server = Server::start(Bounds::default(), None).await;
    let all = "0123456789";
    let table = [
        ("GET", "", "200 OK", "content-length: 10", all),
        ("GET", "range: bytes=2-4", "206 Partial Content", "content-range: bytes 2-4/10", "234"),
        ("GET", "range: bytes=-3", "206 Partial Content", "content-length: 3", "789"),
        ("GET", "range: bytes=0-1,3-4", "200 OK", "content-length: 10", all),
        ("GET", "range: bytes=10-", "416 ", "content-range: bytes */10", "}"),
        ("GET", "if-none-match: \"abc\"", "304 Not Modified", "etag: \"abc\"", ""),
        ("GET", "if-match: \"b\"", "412 ", "/problems/precondition-failed", "}"),
        ("HEAD", "range: bytes=2-4", "200 OK", "content-length: 10", ""),
    ];
    for (method, header, status, line, body) in table {
        let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        let request =
            format!("{method} /dataset HTTP/1.1\r\nhost: x\r\n{header}connection: close\r\n\r\n");
        let answer = server.exchange(&request).await;
        let (head, got) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}{answer}");
        assert!(answer.contains(line), "{request}{answer}");
        let is_right = if body == "}" { got.ends_with(body) } else { got == body };
        assert!(is_right, "{request}{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_fails_midway_breaks_the_connection() {
    let server = Server::start(Bounds::default(), None).await;
    for (address, is_chunked) in [("/broken", false), ("/panic", true)] {
        let answer = server.exchange(format!("GET {address} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert_eq!(head.contains("chunked"), is_chunked, "{head}");
        assert!(!body.ends_with("0\r\n\r\n") && body.len() <= 1 << 20, "{address}");
    }
    server.works().await;
    server.is_empty().await;
}

#[tokio::test]
async fn stopping_finishes_what_runs_and_ends_streams_of_events() {
    let server = Server::start(Bounds::default(), None).await;
    let mut idle = server.connect().await;
    ask(&mut idle).await;
    let mut fresh = server.connect().await;
    let mut running = server.connect().await;
    running.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut events = server.connect().await;
    events.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until(&mut events, "tick\n\n").await;
    server.runs(2).await;

    assert!(!server.listening.stopping().has_begun());
    server.stop.send(()).unwrap();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut fresh).await, "");
    let events = rest(&mut events).await;
    assert!(events.ends_with("0\r\n\r\n"), "{events}");
    let answer = rest(&mut running).await;
    assert!(answer.ends_with("finished") && answer.contains("connection: close"), "{answer}");
    within(server.task).await.unwrap();
    assert!(server.listening.stopping().has_begun());
    assert_eq!(server.listening.open(), 0);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn stopping_cuts_what_does_not_end() {
    let server = Server::start(Bounds { grace: SHORT, ..Bounds::default() }, None).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut half = server.connect().await;
    half.write_all(b"GET / HT").await.unwrap();
    sleep(SHORT).await;
    server.stop.send(()).unwrap();
    within(server.task).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(server.listening.open(), 0);
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = Server::start(quick(), None).await;
    for (head, status) in [
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n", "200"),
        ("GET / HTTP/1.0\r\n", "200"),
        ("GET / HTTP/1.1\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nHOST: a\r\n", "400"),
        ("GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n", "400"),
    ] {
        let answer = server.exchange(format!("{head}\r\n")).await;
        let line = answer.lines().next().unwrap_or_default();
        assert!(line.contains(&format!(" {status} ")), "{head}{answer}");
        if status == "400" {
            assert!(answer.contains("connection: close") && answer.contains("`Host`"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_closes_because_a_body_was_not_read_says_so() {
    let server = Server::start(quick(), None).await;
    for length in [10, 100_000] {
        let head = format!("POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        let answer = server.exchange(head + &"y".repeat(length)).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}
