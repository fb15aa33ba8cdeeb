//! Runs the programs that find spans for redaction rules: processes that answer one text after another in JSON Lines.
//!
//! A process reads a line `{"id": 1, "text": "…"}` and writes a line `{"id": 1, "spans": [{"start": 0, "end": 3}]}`,
//! where positions count Unicode characters. It gets the next text only after its answer, so at most one answer per
//! process is outstanding, and an answer out of order has the wrong id. For each process, one thread writes to it and
//! another reads from it, so that a process that neither reads nor answers is noticed in time.
//!
//! Any error is final and fails all processes of the rule: the export that uses it stops.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use retort_redact::{Named, Recogniser, RecogniserProgram};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::io_reason;
use crate::storage::hex;

/// How long a process may take for its first answer beyond the time for one text: it may have to load a model.
const START: Duration = Duration::from_secs(120);

/// Bytes of one answer: a hundred thousand spans of one text.
const ANSWER_BYTES: u64 = 8 << 20;

/// How often a waiting thread checks whether another one failed or the work was stopped.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// How long the processes of a program may take to end once they get no more texts.
const END: Duration = Duration::from_secs(2);

/// The failure of all programs after the work that needs them was stopped.
const STOPPED: &str = "was stopped";

/// The longest text whose spans are cached, and the number of texts in the cache: keys and names repeat often.
const KNOWN_BYTES: usize = 64;
const KNOWN: usize = 10_000;

/// Which programs this process may run for redaction rules.
#[derive(Debug, Default)]
struct Allowed {
    any: bool,
    configured: BTreeMap<String, RecogniserProgram>,
}

static ALLOWED: RwLock<Allowed> = RwLock::new(Allowed { any: false, configured: BTreeMap::new() });

/// Lets rules in this process run any program. Otherwise, rules can only name programs of the configuration, because
/// other people may have written them.
pub fn allow_all_programs() {
    ALLOWED.write().unwrap_or_else(PoisonError::into_inner).any = true;
}

/// Lets rules in this process run the programs of its configuration, by name.
pub fn allow_programs(configured: &BTreeMap<String, RecogniserProgram>) {
    let mut allowed = ALLOWED.write().unwrap_or_else(PoisonError::into_inner);
    allowed.configured.extend(configured.clone());
}

/// The programs of all rules. Rules that name the same program share its processes, so that many rules do not run more
/// processes than it may have.
#[derive(Default)]
pub(crate) struct Programs {
    begun: RefCell<Vec<(Named, Arc<dyn Recogniser>)>>,
}

impl Programs {
    /// The program of a rule, ready to run.
    ///
    /// # Errors
    /// This process may not run it, or its file cannot be read.
    pub fn begin(&self, named: &Named) -> Result<Arc<dyn Recogniser>, String> {
        let mut begun = self.begun.borrow_mut();
        if let Some((_, runs)) = begun.iter().find(|(other, _)| other == named) {
            return Ok(Arc::clone(runs));
        }
        let is_heard = matches!(named, Named::Command(_));
        let runs: Arc<dyn Recogniser> = Arc::new(Program::new(program_of(named)?, is_heard)?);
        begun.push((named.clone(), Arc::clone(&runs)));
        Ok(runs)
    }
}

fn program_of(named: &Named) -> Result<RecogniserProgram, String> {
    let allowed = ALLOWED.read().unwrap_or_else(PoisonError::into_inner);
    match named {
        Named::Command(program) if allowed.any => Ok(program.clone()),
        Named::Command(_) => Err(
            "`program` works only in commands on files, such as `retort convert`; here, use `recogniser` with \
             the name of a program in the server's configuration"
                .into(),
        ),
        Named::Configured(name) => allowed.configured.get(name).cloned().ok_or_else(|| {
            format!("there is no recogniser `{name}` in the configuration, under `[recognisers]`")
        }),
    }
}

/// A program, and its processes.
#[derive(Debug)]
struct Program {
    command: Vec<String>,
    /// Whether its standard error is shown. It may quote texts, so it is hidden where other people read the log.
    is_heard: bool,
    name: String,
    sha256: String,
    time: Duration,
    processes: usize,
    pool: Mutex<Pool>,
    freed: Condvar,
    failure: OnceLock<String>,
    known: Mutex<HashMap<String, Vec<Range<usize>>>>,
}

#[derive(Debug, Default)]
struct Pool {
    free: Vec<Running>,
    begun: usize,
}

impl Drop for Program {
    /// Closes the inputs of all processes, then kills those that do not exit in time.
    fn drop(&mut self) {
        let pool = self.pool.get_mut().unwrap_or_else(PoisonError::into_inner);
        pool.free.iter_mut().for_each(|running| running.to = None);
        let pause = LOOK / 5;
        for _ in 0..END.as_millis() / pause.as_millis() {
            pool.free.retain_mut(Running::is_ending);
            if pool.free.is_empty() {
                break;
            }
            std::thread::sleep(pause);
        }
        pool.free.clear();
    }
}

impl Program {
    fn new(program: RecogniserProgram, is_heard: bool) -> Result<Self, String> {
        let RecogniserProgram { command, seconds, processes } = program;
        let name = command.iter().find(|part| Path::new(part).is_file()).or(command.first());
        let name = name.map(Path::new).and_then(Path::file_name);
        Ok(Self {
            name: name.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            sha256: hash_of(&command)?,
            command,
            is_heard,
            time: Duration::from_secs(seconds),
            processes,
            pool: Mutex::default(),
            freed: Condvar::new(),
            failure: OnceLock::new(),
            known: Mutex::default(),
        })
    }

    /// A process for the next text: a free one, or a new one if there may be more; otherwise waits for one to be free.
    fn take(&self) -> Result<Running, String> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(why) = self.failure.get() {
                return Err(why.clone());
            }
            if let Some(running) = pool.free.pop() {
                return Ok(running);
            }
            if pool.begun < self.processes {
                pool.begun += 1;
                drop(pool);
                return Running::begin(&self.command, self.is_heard);
            }
            let waited = self.freed.wait_timeout(pool, LOOK);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn ask(&self, text: &str) -> Result<Vec<Range<usize>>, String> {
        let mut running = self.take()?;
        let spans = running.ask(text, self.time, &self.failure)?;
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).free.push(running);
        self.freed.notify_one();
        Ok(spans)
    }
}

impl Recogniser for Program {
    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, String> {
        if let Some(why) = self.failure.get() {
            return Err(why.clone());
        }
        if !text.chars().any(char::is_alphanumeric) {
            return Ok(Vec::new());
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_short = text.len() <= KNOWN_BYTES;
        if is_short && let Some(spans) = known().get(text) {
            return Ok(spans.clone());
        }
        let spans = self.ask(text).map_err(|why| {
            let why = format!("`{}` {why}", self.name);
            self.failure.get_or_init(|| why).clone()
        })?;
        if is_short {
            let mut known = known();
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(text.to_owned(), spans.clone());
        }
        Ok(spans)
    }

    fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    fn stop(&self) {
        self.failure.get_or_init(|| STOPPED.to_owned());
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// A hash of a command that includes the contents of the files that it names.
fn hash_of(command: &[String]) -> Result<String, String> {
    let mut hasher = Sha256::new();
    for part in command {
        let path = Path::new(part);
        if path.is_file() {
            hash_file(path, &mut hasher)
                .map_err(|error| format!("cannot read `{part}`: {}", io_reason(&error)))?;
        } else {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Hashes the length of a file and its contents, which may be a model of many gigabytes.
fn hash_file(path: &Path, hasher: &mut Sha256) -> io::Result<()> {
    let mut file = File::open(path)?;
    hasher.update(file.metadata()?.len().to_be_bytes());
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A process of a program.
#[derive(Debug)]
struct Running {
    child: Child,
    /// Sends lines to the thread that writes them; none to end the input.
    to: Option<SyncSender<Vec<u8>>>,
    from: Receiver<Result<Vec<u8>, String>>,
    /// The id of the next text.
    next: u64,
}

impl Running {
    fn begin(command: &[String], is_heard: bool) -> Result<Self, String> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| "has no program".to_owned())?;
        let mut begun = Command::new(program);
        begun.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        begun.stderr(if is_heard { Stdio::inherit() } else { Stdio::null() });
        // Some hold Retort's own tokens and passwords.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RETORT_") {
                begun.env_remove(name);
            }
        }
        let mut child =
            begun.spawn().map_err(|error| format!("cannot be started: {}", io_reason(&error)))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("has no input and output".into());
        };
        let (to, lines) = sync_channel::<Vec<u8>>(1);
        std::thread::spawn(move || {
            for line in lines {
                if input.write_all(&line).and_then(|()| input.flush()).is_err() {
                    break;
                }
            }
        });
        let (answers, from) = sync_channel(1);
        std::thread::spawn(move || read_answers(output, &answers));
        Ok(Self { child, to: Some(to), from, next: 1 })
    }

    /// The spans of a text. Stops waiting when there is a failure elsewhere.
    fn ask(
        &mut self,
        text: &str,
        time: Duration,
        failure: &OnceLock<String>,
    ) -> Result<Vec<Range<usize>>, String> {
        let id = self.next;
        self.next += 1;
        let mut line =
            serde_json::to_vec(&serde_json::json!({"id": id, "text": text})).unwrap_or_default();
        line.push(b'\n');
        let sent = self.to.as_ref().map(|to| to.try_send(line));
        let unread = || "answered without reading its input".to_owned();
        if let Some(Err(TrySendError::Full(_))) = sent {
            return Err(unread());
        }
        let limit = if id == 1 { START.saturating_add(time) } else { time };
        let mut left = limit;
        let answer = loop {
            let slice = left.min(LOOK);
            match self.from.recv_timeout(slice) {
                Ok(answer) => break answer?,
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(why) = failure.get() {
                return Err(why.clone());
            }
            left -= slice;
            if left.is_zero() {
                return Err(format!("did not answer within {} s", limit.as_secs()));
            }
        };
        match sent {
            Some(Ok(())) => spans_of(&answer, id, text),
            _ => Err(unread()),
        }
    }

    /// How the process ended, for the message.
    fn ended(&mut self) -> String {
        for _ in 0..END.as_millis() / LOOK.as_millis() {
            match self.child.try_wait() {
                Ok(Some(status)) => return format!("ended before it answered ({status})"),
                Ok(None) => std::thread::sleep(LOOK),
                Err(_) => break,
            }
        }
        "closed its output before it answered".into()
    }

    /// Whether it still runs and writes nothing, after its input was closed.
    fn is_ending(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None)) && self.from.try_recv().is_err()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_answers(output: ChildStdout, answers: &SyncSender<Result<Vec<u8>, String>>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let read = (&mut output).take(ANSWER_BYTES + 1).read_until(b'\n', &mut line);
        let answer = match read {
            Ok(0) => return,
            Ok(_) if line.len() as u64 > ANSWER_BYTES => {
                Err(format!("gave an answer of more than {} MiB", ANSWER_BYTES >> 20))
            }
            Ok(_) => Ok(line),
            Err(error) => Err(format!("cannot be read from: {}", io_reason(&error))),
        };
        let is_last = answer.is_err();
        if answers.send(answer).is_err() || is_last {
            return;
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    id: u64,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    start: usize,
    end: usize,
}

/// The spans of an answer, in bytes of its text. Errors do not repeat the answer, which may quote the text.
fn spans_of(answer: &[u8], id: u64, text: &str) -> Result<Vec<Range<usize>>, String> {
    let read: Answer = serde_json::from_slice(answer).map_err(|error| {
        format!(
            "gave an answer that is not a line such as {{\"id\": {id}, \"spans\": [{{\"start\": 0, \"end\": 3}}]}} \
             (column {})",
            error.column()
        )
    })?;
    if read.id != id {
        return Err(format!("answered text {} when it was asked for text {id}", read.id));
    }
    if read.spans.is_empty() {
        return Ok(Vec::new());
    }
    let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    places.push(text.len());
    let place = |at: usize| places.get(at).copied();
    let spans = read.spans.iter().map(|span| match (place(span.start), place(span.end)) {
        (Some(start), Some(end)) if start < end => Ok(start..end),
        _ => Err(format!(
            "gave the span {} to {} of a text with {} characters",
            span.start,
            span.end,
            places.len() - 1
        )),
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn shell(script: &str) -> Program {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Program::new(RecogniserProgram::new(command, None, None).unwrap(), true).unwrap()
    }

    #[test]
    #[cfg(unix)]
    fn a_program_that_answers_without_reading_is_refused() {
        let program =
            shell(r#"n=1; while :; do echo "{\"id\":$n,\"spans\":[]}"; n=$((n+1)); done"#);
        // More than a pipe holds: the first is being written, the second waits, and there is no room for the third.
        let text = "a".repeat(1 << 20);
        let failed = (0..3).find_map(|_| program.spans(&text).err());
        assert_eq!(failed.as_deref(), Some("`sh` answered without reading its input"));
    }

    #[test]
    #[cfg(unix)]
    fn a_program_is_not_waited_for_once_the_work_is_stopped() {
        let program = shell("exec sleep 1000");
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| program.spans("a"));
            program.stop();
            assert!(asked.join().unwrap().unwrap_err().contains(STOPPED));
        });
        assert_eq!(program.failure().as_deref(), Some(STOPPED));
    }

    #[test]
    fn a_command_is_hashed_with_the_contents_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let hash = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            hash_of(&["sh".to_owned(), path.to_str().unwrap().to_owned()]).unwrap()
        };
        let (long, short) = (vec![7; 200_000], vec![7; 199_999]);
        let as_one = |text: &[u8]| {
            let mut hashed = Vec::new();
            for part in [b"sh", text] {
                hashed.extend((part.len() as u64).to_be_bytes());
                hashed.extend(part);
            }
            hex(&Sha256::digest(&hashed))
        };
        assert_eq!((hash(&long), hash(&short)), (as_one(&long), as_one(&short)));
    }

    #[test]
    fn places_are_characters_and_every_wrong_answer_is_refused() {
        let of = |answer: &str| spans_of(answer.as_bytes(), 7, "Zoë ë");
        let one = |start: usize, end: usize| Ok(vec![Range { start, end }]);
        assert_eq!(of(r#"{"id":7,"spans":[{"start":0,"end":3,"kind":"name"}]}"#), one(0, 4));
        assert_eq!(of(r#"{"id":7,"spans":[{"start":4,"end":5}]}"#), one(5, 7));
        assert_eq!(of(r#"{"id":7,"spans":[]}"#), Ok(Vec::new()));
        for (answer, why) in [
            (r#"{"id":8,"spans":[]}"#, "answered text 8 when it was asked for text 7"),
            (r#"{"id":7}"#, "not a line such as"),
            ("Zoë", "not a line such as"),
            (r#"{"id":7,"spans":[{"start":3,"end":6}]}"#, "the span 3 to 6 of a text with 5"),
            (r#"{"id":7,"spans":[{"start":2,"end":2}]}"#, "the span 2 to 2"),
            (r#"{"id":7,"spans":[{"start":-1,"end":2}]}"#, "not a line such as"),
        ] {
            let error = of(answer).unwrap_err();
            assert!(error.contains(why) && !error.contains("Zo"), "{answer}: {error}");
        }
    }
}
