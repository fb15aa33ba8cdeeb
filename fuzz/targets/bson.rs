#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| retort_formats::import::bson::Documents::read(bytes).for_each(drop));
