//! How often someone may ask. Whatever comes, the memory it takes is bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::bounds::RATE_KEYS;

/// Who is counted. A key is kept as its hash, so it may be as long as it likes.
#[derive(Clone, Copy, Debug, Hash)]
pub enum Key<'a> {
    /// A person or a token.
    Caller(&'a str),
    /// The name of an account that someone tries to sign in to.
    Account(&'a str),
    /// The same from one address.
    AccountFrom(&'a str, u128),
    /// Where a request comes from; of an IPv6 address the first half, as the rest is the customer's to choose.
    Address(u128),
}

/// What of an address is counted.
fn counted(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

impl From<IpAddr> for Key<'_> {
    fn from(address: IpAddr) -> Self {
        Self::Address(counted(address))
    }
}

impl<'a> Key<'a> {
    fn account_from(account: &'a str, address: IpAddr) -> Self {
        Self::AccountFrom(account, counted(address))
    }
}

impl Key<'_> {
    /// What is counted together with other requests from that address.
    pub fn of_address(address: IpAddr) -> String {
        match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("{:x}", address.to_bits() >> 64),
        }
    }
}

/// How many at once, and how soon the next.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    burst: u32,
    every: Duration,
}

impl Rate {
    /// So many a minute on average, and so many at once.
    pub fn per_minute(count: u32, burst: u32) -> Self {
        Self { burst: burst.max(1), every: Duration::from_secs(60) / count.max(1) }
    }
}

/// Token buckets, one a key. A bucket is the moment at which it will be full again.
pub struct Rates {
    rate: Rate,
    most_keys: usize,
    hasher: RandomState,
    buckets: Mutex<Buckets>,
}

/// Two generations: once the young one is full it becomes the old one, and the old one falls out.
#[derive(Default)]
struct Buckets {
    young: HashMap<u64, Instant>,
    old: HashMap<u64, Instant>,
}

impl Rates {
    /// Buckets of that rate.
    pub fn new(rate: Rate) -> Self {
        Self::with_keys(rate, RATE_KEYS)
    }

    fn with_keys(rate: Rate, most_keys: usize) -> Self {
        let hasher = RandomState::new();
        Self { rate, most_keys, hasher, buckets: Mutex::default() }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// There is none; how long until there is.
    pub fn take(&self, key: Key<'_>, now: Instant) -> Result<(), Duration> {
        let id = self.hasher.hash_one(key);
        let mut buckets = self.lock();
        let full_at = buckets.get(id).unwrap_or(now).max(now) + self.rate.every;
        let wait = full_at.duration_since(now).saturating_sub(self.rate.every * self.rate.burst);
        if wait.is_zero() {
            buckets.put(id, full_at, self.most_keys);
            Ok(())
        } else {
            Err(wait)
        }
    }

    /// Remembers a key, for as long as there is room.
    fn remember(&self, key: Key<'_>) {
        let id = self.hasher.hash_one(key);
        self.lock().put(id, Instant::now(), self.most_keys);
    }

    /// Whether a key is remembered.
    fn knows(&self, key: Key<'_>) -> bool {
        self.lock().get(self.hasher.hash_one(key)).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn get(&self, id: u64) -> Option<Instant> {
        self.young.get(&id).or_else(|| self.old.get(&id)).copied()
    }

    fn put(&mut self, id: u64, full_at: Instant, most_keys: usize) {
        if self.young.len() >= most_keys.div_ceil(2) && !self.young.contains_key(&id) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, full_at);
    }
}

/// Attempts to sign in: far fewer than requests, and counted three times.
///
/// Who tries passwords from one address is slowed down for that account and that address alone, so that a stranger who
/// fails on purpose locks out nobody else. Who tries them from many addresses is slowed down for the account, but not
/// the addresses from which someone signed in to it before.
pub struct SignIns {
    by_both: Rates,
    by_address: Rates,
    by_account: Rates,
    succeeded: Rates,
}

impl Default for SignIns {
    /// Ten at once to an account from an address and one a minute then; thirty from an address, and ten a minute: an
    /// office shares one. A hundred to an account from anywhere, and ten a minute: some guesses of the millions that a
    /// password of ten characters takes.
    fn default() -> Self {
        Self {
            by_both: Rates::new(Rate::per_minute(1, 10)),
            by_address: Rates::new(Rate::per_minute(10, 30)),
            by_account: Rates::new(Rate::per_minute(10, 100)),
            succeeded: Rates::new(Rate::per_minute(1, 1)),
        }
    }
}

impl SignIns {
    /// Counts an attempt. One that its address may not make does not count against the account.
    ///
    /// # Errors
    /// Too many; how long until the next.
    pub fn attempt(&self, account: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        self.attempt_from(from, now)?;
        let both = Key::account_from(account, from);
        self.by_both.take(both, now)?;
        if self.succeeded.knows(both) {
            return Ok(());
        }
        self.by_account.take(Key::Account(account), now)
    }

    /// Notes that an attempt was right.
    pub fn succeeded(&self, account: &str, from: IpAddr) {
        self.succeeded.remember(Key::account_from(account, from));
    }

    /// Counts an attempt that names no account, such as with a link: who guesses must not use up the attempts of all.
    ///
    /// # Errors
    /// As [`Self::attempt`].
    pub fn attempt_from(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        self.by_address.take(from.into(), now)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const ANA: Key<'_> = Key::Caller("ana");

    fn taken(rates: &Rates, key: Key<'_>) -> usize {
        (0..1000).take_while(|_| rates.take(key, Instant::now()).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rates = Rates::new(Rate::per_minute(30, 5));
        assert_eq!(taken(&rates, ANA), 5);
        assert_eq!(rates.take(ANA, Instant::now()), Err(Duration::from_secs(2)));
        advance(Duration::from_millis(1500)).await;
        assert_eq!(rates.take(ANA, Instant::now()), Err(Duration::from_millis(500)));
        advance(Duration::from_millis(500)).await;
        assert_eq!(taken(&rates, ANA), 1);
        advance(Duration::from_secs(3600)).await;
        assert_eq!(taken(&rates, ANA), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_a_bucket_of_its_own() {
        let rates = Rates::new(Rate::per_minute(1, 1));
        let address = |text: &str| Key::from(text.parse::<IpAddr>().unwrap());
        for (key, is_new) in [
            (ANA, true),
            (Key::Account("ana"), true),
            (Key::Caller("ben"), true),
            (ANA, false),
            (address("192.0.2.1"), true),
            (address("192.0.2.2"), true),
            (address("::ffff:192.0.2.1"), false),
            (address("2001:db8:1:2::1"), true),
            (address("2001:db8:1:2:ffff::2"), false),
            (address("2001:db8:1:3::1"), true),
        ] {
            assert_eq!(rates.take(key, Instant::now()).is_ok(), is_new, "{key:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn any_number_of_keys_takes_bounded_memory_and_the_oldest_fall_out() {
        let rates = Rates::with_keys(Rate::per_minute(1, 1), 100);
        for number in 0..10_000_u128 {
            rates.take(Key::Address(number), Instant::now()).unwrap();
            let buckets = rates.lock();
            assert!(buckets.young.len() + buckets.old.len() <= 100);
        }
        assert!(rates.take(Key::Address(9_999), Instant::now()).is_err());
        assert!(rates.take(Key::Address(9_950), Instant::now()).is_err());
        assert!(rates.take(Key::Address(1), Instant::now()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn sign_ins_are_counted_by_account_and_address_together() {
        let sign_ins = SignIns::default();
        let at = |last: u8| IpAddr::from([192, 0, 2, last]);
        let now = Instant::now();
        for _ in 0..10 {
            sign_ins.attempt("ana", at(1), now).unwrap();
        }
        assert_eq!(sign_ins.attempt("ana", at(1), now), Err(Duration::from_secs(60)));
        // A stranger who fails on purpose locks out only themselves.
        sign_ins.attempt("ana", at(2), now).unwrap();
        sign_ins.attempt("ben", at(1), now).unwrap();
        for attempt in 0..30 {
            sign_ins.attempt(&format!("someone-{attempt}"), at(20), now).unwrap();
        }
        assert_eq!(sign_ins.attempt("ben", at(20), now), Err(Duration::from_secs(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_at_many_addresses_are_slowed_down_and_who_was_there_before_is_not() {
        let sign_ins = SignIns::default();
        let at = |last: u8| IpAddr::from([192, 0, 2, last]);
        let now = Instant::now();
        sign_ins.attempt("ana", at(250), now).unwrap();
        sign_ins.succeeded("ana", at(250));
        let passed =
            (0..200).filter(|&last| sign_ins.attempt("ana", at(last), now).is_ok()).count();
        assert_eq!(passed, 99);
        assert_eq!(sign_ins.attempt("ana", at(251), now), Err(Duration::from_secs(6)));
        sign_ins.attempt("ana", at(250), now).unwrap();
    }
}
