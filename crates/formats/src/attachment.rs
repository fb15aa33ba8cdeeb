//! What a part of a message shows: the bytes that are in it, or where they are.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::Value;

/// The bytes that a part holds itself, with their media type: as a `data:` URL anywhere in it, or as Base64 beside its type.
pub fn inline(value: &Value) -> Option<(String, Vec<u8>)> {
    let decode = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        [STANDARD, STANDARD_NO_PAD].iter().find_map(|engine| engine.decode(&text).ok())
    };
    match value {
        Value::String(text) => {
            let (head, data) = text.strip_prefix("data:")?.split_once(',')?;
            let media_type = head.split(';').next().unwrap_or_default();
            let bytes = if head.ends_with(";base64") {
                decode(data)?
            } else {
                percent_encoding::percent_decode_str(data).collect()
            };
            Some((media_type_of(media_type), bytes))
        }
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str);
            let kinds = ["media_type", "mime_type", "mimeType", "mediaType", "format"];
            let data = text("data").or_else(|| text("content"));
            if let (Some(data), Some(kind)) = (data, kinds.into_iter().find_map(text))
                && !data.starts_with("data:")
                && !is_remote(data)
            {
                let kind = if kind.contains('/') { kind.into() } else { format!("audio/{kind}") };
                return Some((media_type_of(&kind), decode(data)?));
            }
            // The `Image` and `Audio` features of `datasets`, as Parquet files have them.
            if let Some(bytes) = text("bytes").and_then(decode)
                && let Some(kind) = media_type_of_bytes(&bytes)
            {
                return Some((kind.into(), bytes));
            }
            fields.values().find_map(inline)
        }
        Value::Array(values) => values.iter().find_map(inline),
        _ => None,
    }
}

/// Keys under which parts say where their bytes are, the surest first.
const PLACES: [&str; 20] = [
    "url",
    "uri",
    "fileUri",
    "file_uri",
    "path",
    "image_url",
    "imageUrl",
    "audio_url",
    "video_url",
    "file_url",
    "image",
    "video",
    "audio",
    "asset_pointer",
    "input_image",
    "source",
    "fileData",
    "file_data",
    "file",
    "value",
];

/// Where the bytes of a part are, if they are not in it: a URL or the name of a file.
pub fn place(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        Value::Object(fields) => PLACES.iter().find_map(|key| match fields.get(*key)? {
            Value::Array(_) => None,
            value => place(value),
        }),
        _ => None,
    }
}

/// Whether it is the URL of something on the web.
pub fn is_remote(place: &str) -> bool {
    let starts = |scheme: &str| {
        place.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts("https://") || starts("http://")
}

/// The media type, if it is safe in a header.
fn media_type_of(text: &str) -> String {
    let is_fit = |text: &str| {
        (3..=100).contains(&text.len())
            && text.matches('/').count() == 1
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(&b))
    };
    if is_fit(text) { text.to_ascii_lowercase() } else { "application/octet-stream".into() }
}

/// The media type of a picture or sound, by its first bytes.
fn media_type_of_bytes(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'B', b'M', ..] => "image/bmp",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "image/tiff",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "audio/wav",
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        [b'I', b'D', b'3', ..] | [0xff, 0xfb | 0xf3 | 0xf2, ..] => "audio/mpeg",
        _ => return None,
    })
}

/// The media type of a picture, video or sound, by the ending of its name.
pub fn media_type_of_name(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "tif" | "tiff" => "image/tiff",
        "heic" => "image/heic",
        "avif" => "image/avif",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "avi" => "video/x-msvideo",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" | "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        "aac" => "audio/aac",
        "aif" | "aiff" => "audio/aiff",
        _ => return None,
    })
}

/// What the name of a file of that media type ends on.
pub fn ending(media_type: &str) -> &str {
    match media_type {
        "image/jpeg" => "jpg",
        "image/svg+xml" => "svg",
        "text/plain" => "txt",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "video/quicktime" => "mov",
        "application/octet-stream" => "bin",
        other => other.rsplit(['/', '+', '-', '.']).next().unwrap_or("bin"),
    }
}
