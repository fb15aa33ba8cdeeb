//! What is counted for `/metrics`, as OpenMetrics text. No label comes from a client.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use retort_model::{JobState, Time};
use retort_service::{QueueStats, ScheduleStats, TraceStats};

const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds: from a page out of memory to a long download.
const BUCKETS: [f64; 12] = [0.002, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// The route's label where no route was found.
pub(crate) const NO_ROUTE: &str = "other";

/// What the server counts. Clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Counted>);

struct Counted {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    sent_bytes: Counter,
    downloaded_bytes: Counter,
    connections: Gauge,
    jobs: Family<JobLabels, Gauge>,
    oldest_job: Gauge,
    expired_leases: Gauge,
    deliveries: Family<JobLabels, Gauge>,
    schedules: Family<JobLabels, Gauge>,
    schedule_deliveries: Family<JobLabels, Gauge>,
    worker_silent: Gauge,
    store_answers: Gauge,
    free: Family<PlaceLabels, Gauge>,
    spans: Family<OutcomeLabels, Counter>,
    waiting_traces: Gauge,
    waiting_spans: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: Arc<str>,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabels {
    place: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// A request that has ended.
pub(crate) struct Ended<'a> {
    pub(crate) method: &'static str,
    pub(crate) route: &'a Arc<str>,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
    pub(crate) bytes: u64,
    pub(crate) is_download: bool,
}

impl Metrics {
    /// Nothing counted yet, in a server of that version.
    pub fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("retort");
        let requests = Family::default();
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> _);
        let (sent_bytes, downloaded_bytes) = (Counter::default(), Counter::default());
        let (connections, jobs) = (Gauge::default(), Family::default());
        let build = Info::new(vec![("version", version.to_owned())]);
        registry.register("build", "The release that runs", build);
        registry.register("http_requests", "Completed requests", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's headers to the last byte of its response",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register_with_unit(
            "http_sent",
            "Bytes of responses, without headers",
            Unit::Bytes,
            sent_bytes.clone(),
        );
        registry.register_with_unit(
            "downloaded",
            "Bytes of datasets sent",
            Unit::Bytes,
            downloaded_bytes.clone(),
        );
        registry.register("http_connections", "Open connections", connections.clone());
        registry.register("jobs", "Jobs by state", jobs.clone());
        let (oldest_job, worker_silent) = (Gauge::default(), Gauge::default());
        registry.register_with_unit(
            "oldest_queued_job_age",
            "Age of the oldest queued job; 0 if none is queued",
            Unit::Seconds,
            oldest_job.clone(),
        );
        registry.register_with_unit(
            "worker_silent",
            "Time since this process's worker last checked the queue or reported progress",
            Unit::Seconds,
            worker_silent.clone(),
        );
        let (expired_leases, store_answers) = (Gauge::default(), Gauge::default());
        let (deliveries, free) = (Family::default(), Family::default());
        let (schedules, schedule_deliveries) = (Family::default(), Family::default());
        registry.register(
            "expired_leases",
            "Running jobs whose workers have stopped reporting",
            expired_leases.clone(),
        );
        registry.register(
            "webhook_deliveries",
            "Webhook deliveries that are waiting, or failed and were given up",
            deliveries.clone(),
        );
        registry.register(
            "schedules",
            "Schedules that are active, late by more than ten minutes, or disabled",
            schedules.clone(),
        );
        registry.register(
            "schedule_deliveries",
            "Datasets of schedules that wait to be delivered, and how many of them failed at the last attempt",
            schedule_deliveries.clone(),
        );
        registry.register(
            "store_answers",
            "1 if the store answered the last check, else 0",
            store_answers.clone(),
        );
        registry.register_with_unit("free", "Free disk space", Unit::Bytes, free.clone());
        let spans = Family::default();
        let (waiting_traces, waiting_spans) = (Gauge::default(), Gauge::default());
        registry.register("spans", "Spans that applications sent, by outcome", spans.clone());
        registry.register(
            "waiting_traces",
            "Traces of all projects that wait to be imported",
            waiting_traces.clone(),
        );
        registry.register("waiting_spans", "Spans of these traces", waiting_spans.clone());
        let counted = Counted {
            registry,
            requests,
            durations,
            sent_bytes,
            downloaded_bytes,
            connections,
            jobs,
            oldest_job,
            expired_leases,
            deliveries,
            schedules,
            schedule_deliveries,
            worker_silent,
            store_answers,
            free,
            spans,
            waiting_traces,
            waiting_spans,
        };
        Self(Arc::new(counted))
    }

    /// Tells how many jobs are in a state.
    pub fn set_jobs(&self, state: JobState, count: u64) {
        let labels = JobLabels { state: state.as_str() };
        self.0.jobs.get_or_create(&labels).set(count.try_into().unwrap_or(i64::MAX));
    }

    /// Tells how many connections are open: [`crate::server::Listening::open`].
    pub fn set_connections(&self, count: usize) {
        self.0.connections.set(count.try_into().unwrap_or(i64::MAX));
    }

    /// Tells what the queue is like at that moment.
    pub fn set_queue(&self, stats: &QueueStats, now: Time) {
        let age = stats.oldest.map_or(0, |oldest| now.unix_micros() - oldest.unix_micros());
        self.0.oldest_job.set(age.max(0) / 1_000_000);
        let set = |gauge: &Gauge, count: u64| gauge.set(count.try_into().unwrap_or(i64::MAX));
        set(&self.0.expired_leases, stats.expired_leases);
        for (state, count) in
            [("waiting", stats.deliveries_waiting), ("failed", stats.deliveries_failed)]
        {
            set(&self.0.deliveries.get_or_create(&JobLabels { state }), count);
        }
    }

    /// Tells what the schedules are like.
    pub fn set_schedules(&self, stats: &ScheduleStats) {
        for (state, count) in
            [("active", stats.active), ("late", stats.late), ("disabled", stats.disabled)]
        {
            let count = count.try_into().unwrap_or(i64::MAX);
            self.0.schedules.get_or_create(&JobLabels { state }).set(count);
        }
        for (state, count) in
            [("waiting", stats.undelivered), ("failing", stats.failing_deliveries)]
        {
            let count = count.try_into().unwrap_or(i64::MAX);
            self.0.schedule_deliveries.get_or_create(&JobLabels { state }).set(count);
        }
    }

    /// Tells how long the worker has been silent.
    pub fn set_worker_silent(&self, silent: Duration) {
        self.0.worker_silent.set(silent.as_secs().try_into().unwrap_or(i64::MAX));
    }

    /// Tells whether the store answers.
    pub fn set_store_answers(&self, answers: bool) {
        self.0.store_answers.set(answers.into());
    }

    /// Tells how much room is left on a disk.
    pub fn set_free(&self, place: &'static str, bytes: u64) {
        let labels = PlaceLabels { place };
        self.0.free.get_or_create(&labels).set(bytes.try_into().unwrap_or(i64::MAX));
    }

    /// Counts spans that were taken, and those that were refused for good.
    pub(crate) fn count_spans(&self, taken: u64, refused: u64) {
        for (outcome, count) in [("taken", taken), ("refused", refused)] {
            self.0.spans.get_or_create(&OutcomeLabels { outcome }).inc_by(count);
        }
    }

    /// Tells how much waits to be imported.
    pub(crate) fn set_traces(&self, stats: &TraceStats) {
        self.0.waiting_traces.set(stats.traces.try_into().unwrap_or(i64::MAX));
        self.0.waiting_spans.set(stats.spans.try_into().unwrap_or(i64::MAX));
    }

    pub(crate) fn count(&self, ended: &Ended<'_>) {
        let route = Arc::clone(ended.route);
        let status = status_class(ended.status);
        let labels = RequestLabels { method: ended.method, route: Arc::clone(&route), status };
        self.0.requests.get_or_create(&labels).inc();
        let seconds = ended.took.as_secs_f64();
        self.0.durations.get_or_create(&RouteLabels { route }).observe(seconds);
        self.0.sent_bytes.inc_by(ended.bytes);
        if ended.is_download {
            self.0.downloaded_bytes.inc_by(ended.bytes);
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    /// The answer to `/metrics`.
    pub fn answer(&self) -> Response {
        ([(CONTENT_TYPE, CONTENT)], self.text()).into_response()
    }
}

/// A method's name, if it is a method that there is.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told() {
        let metrics = Metrics::new("1.2.3");
        metrics.set_connections(4);
        metrics.set_jobs(JobState::Queued, 2);
        let at = |seconds: i64| Time::from_unix_micros(seconds * 1_000_000);
        let stats = QueueStats { oldest: at(1000), deliveries_failed: 3, ..QueueStats::default() };
        metrics.set_queue(&stats, at(1090).unwrap());
        metrics.set_schedules(&ScheduleStats { undelivered: 5, ..ScheduleStats::default() });
        metrics.set_worker_silent(Duration::from_secs(7));
        metrics.set_store_answers(true);
        metrics.set_free("store", 1 << 33);
        metrics.count_spans(40, 2);
        metrics.set_traces(&TraceStats { traces: 3, spans: 9 });
        for is_download in [false, true] {
            metrics.count(&Ended {
                method: "GET",
                route: &"/api/v1/jobs/{id}".into(),
                status: StatusCode::OK,
                took: Duration::from_millis(30),
                bytes: 100,
                is_download,
            });
        }
        let text = metrics.text();
        for line in [
            r#"retort_build_info{version="1.2.3"} 1"#,
            r#"retort_http_requests_total{method="GET",route="/api/v1/jobs/{id}",status="2xx"} 2"#,
            r#"retort_http_request_duration_seconds_bucket{le="0.025",route="/api/v1/jobs/{id}"} 0"#,
            r#"retort_http_request_duration_seconds_bucket{le="0.05",route="/api/v1/jobs/{id}"} 2"#,
            "retort_http_sent_bytes_total 200",
            "retort_downloaded_bytes_total 100",
            "retort_http_connections 4",
            r#"retort_jobs{state="queued"} 2"#,
            "retort_oldest_queued_job_age_seconds 90",
            r#"retort_webhook_deliveries{state="failed"} 3"#,
            r#"retort_schedule_deliveries{state="waiting"} 5"#,
            "retort_worker_silent_seconds 7",
            "retort_store_answers 1",
            r#"retort_free_bytes{place="store"} 8589934592"#,
            r#"retort_spans_total{outcome="taken"} 40"#,
            r#"retort_spans_total{outcome="refused"} 2"#,
            "retort_waiting_traces 3",
            "retort_waiting_spans 9",
            "# EOF",
        ] {
            assert!(text.lines().any(|got| got == line), "{line}\n{text}");
        }
    }
}
