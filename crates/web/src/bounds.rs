//! Every bound of the doors, with its reason.

use std::time::Duration;

use ipnet::IpNet;

/// Bytes of a JSON body that [`crate::extract::Json`] reads: a selection of 10,000 long ids fits four times.
pub const JSON_BYTES: usize = 4 << 20;

/// Headers of a request, at most: hyper's own default, which needs no memory from the heap.
pub const HEADERS: usize = 100;

/// Characters of a request id that is taken from the caller.
pub const REQUEST_ID_CHARS: usize = 64;

/// Service calls at once: SQLite writes one at a time, and a PostgreSQL server has few connections.
pub const CALLS: u32 = 16;

/// After how long a call is no longer a short one, which others wait for: a page takes a few milliseconds.
pub const LONG_CALL: Duration = Duration::from_millis(50);

/// The niceness of calls that use much of the processors: beside one of the usual priority they get a thirtieth of a
/// core, and all of it that nobody else wants.
pub const SLOW_NICENESS: i32 = 15;

/// The niceness of threads of downloads: behind everything, as the network is slower in any case.
pub const DOWNLOAD_NICENESS: i32 = 19;

/// The niceness of the worker's threads: behind those that answer, and before those of slow calls.
pub const WORKER_NICENESS: i32 = 10;

/// Into how many parts a core is divided: calls of one person or address use one of each core's at usual priority.
/// Someone who reads a page every second uses less than a fifth of one.
pub const SHARES_PER_CORE: f64 = 20.0;

/// Processor time that one person or address uses at once at usual priority: one large page.
pub const CPU_CREDIT: Duration = Duration::from_millis(500);

/// Processor time that is remembered of one person or address at most: on two cores it is forgotten in half a minute.
pub const CPU_DEBT: Duration = Duration::from_secs(3);

/// How long a thread waits for another call before it ends.
pub const THREAD_IDLE: Duration = Duration::from_secs(10);

/// How often a call that waits for memory looks whether there is some, and whether someone still waits for it.
pub const MEMORY_LOOK: Duration = Duration::from_millis(10);

/// Memory that requests hold together for what is large: bodies that came, items that are read, and answers that are
/// being sent. A quarter is for one person or address: the largest item that a server takes in, as often as it is in
/// memory while it is answered.
pub const MEMORY_BYTES: u64 = 512 << 20;

/// What memory is counted in.
pub const MEMORY_UNIT_BYTES: u64 = 1 << 20;

/// Bytes from which memory is counted: so much for each call at once is nothing.
pub const LARGE_BYTES: u64 = 1 << 20;

/// How many times a body is in memory while it is taken in: as it came, as it is read, as it is kept, plain and packed.
pub const BODY_COPIES: u64 = 5;

/// Bytes of a body from which taking it in is slow work, some ten milliseconds of it: those for which memory is counted.
pub const SLOW_BODY_BYTES: usize = (LARGE_BYTES / BODY_COPIES) as usize;

/// Downloads at once, and uploads. Each holds a thread.
pub const DOWNLOADS: u32 = 128;

/// Shares of turns that are kept while nobody has one: about 100 kB.
pub const SHARES_KEPT: usize = 1024;

/// How long a call may take, if the settings do not say: a person has gone by then.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How long a call waits for its turn: longer, and the person has gone.
pub const TURN: Duration = Duration::from_secs(30);

/// Bytes of a download that are handed over at a time.
pub const DOWNLOAD_CHUNK_BYTES: usize = 128 << 10;

/// Chunks of a download that wait for the network.
pub const DOWNLOAD_CHUNKS_WAITING: usize = 4;

/// Bytes from which an answer is compressed: a packet holds fewer.
pub const LEAST_BYTES: usize = 1_000;

/// Bytes of an answer that are compressed at once; longer ones are rare and go as they are.
pub const COMPRESSED_BYTES: usize = 16 << 20;

/// Bytes that are compressed without a call: less than a millisecond.
pub const INLINE_BYTES: usize = 32 << 10;

/// Keys that a table of rates remembers: about 3 MB.
pub const RATE_KEYS: usize = 1 << 16;

/// How long a connection waits for the place of an idle one that is closed.
pub const MAKING_ROOM: Duration = Duration::from_millis(500);

/// Pause after a connection could not be accepted for want of something that others have to give back.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The longest such pause; it doubles until then.
pub const ACCEPT_PAUSE_MOST: Duration = Duration::from_secs(1);

/// How long what a client still sends is read and thrown away before its connection closes, so that the answer
/// reaches it. How much that is says nothing: a busy client may send a gibibyte before it looks for an answer.
pub const LINGER: Duration = Duration::from_secs(5);

/// What a server takes of its clients.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Open connections. Half of what the process may open is never passed, as the store opens files too.
    pub connections: usize,
    /// Of one address, unless it is one that many share. When there are more, the one that has been idle for longest is
    /// closed, as it is when all are taken.
    pub connections_per_address: usize,
    /// Addresses that many share: those of our own proxies.
    pub shared_addresses: Vec<IpNet>,
    /// From the first byte of a request (of a connection, for its first) to the end of its headers.
    pub headers: Duration,
    /// Bytes of a request's line and headers.
    pub header_bytes: usize,
    /// From one request to the next on a connection. Longer than the minute for which proxies keep theirs.
    pub idle: Duration,
    /// A TLS handshake.
    pub handshake: Duration,
    /// How slowly a body may come.
    pub sending: Pace,
    /// How slowly an answer may be taken.
    pub taking: Pace,
    /// How long running requests have to finish once the server stops.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 512,
            shared_addresses: Vec::new(),
            headers: Duration::from_secs(10),
            header_bytes: 32 << 10,
            idle: Duration::from_secs(75),
            handshake: Duration::from_secs(10),
            sending: Pace::default(),
            taking: Pace { silence: Duration::from_secs(30), ..Pace::default() },
            grace: Duration::from_secs(4),
        }
    }
}

/// How slow the other side may be. Only time spent waiting for it counts.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Without a byte.
    pub silence: Duration,
    /// All waiting, beyond what the bytes take at `bytes_per_second`.
    pub lag: Duration,
    /// The least speed that is no lag.
    pub bytes_per_second: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(20),
            lag: Duration::from_secs(30),
            bytes_per_second: 1024,
        }
    }
}
