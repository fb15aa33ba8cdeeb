#![no_main]
use retort_formats::import::otlp_protobuf::{Requests, Signal, begins, to_json};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    begins(bytes);
    Requests::read(bytes, bytes).for_each(drop);
    for signal in [Signal::Traces, Signal::Logs] {
        // Whatever is written is JSON.
        if let Ok(text) = to_json(signal, bytes) {
            retort_json::RawJson::parse(&text).unwrap();
        }
    }
});
