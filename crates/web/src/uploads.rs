//! Bytes of any size on their way to where imports read them.

use std::io::Write;
use std::pin::pin;

use axum::body::Bytes;
use futures_util::{Stream, StreamExt};
use retort_model::bounds::UPLOAD_BYTES;
use retort_service::{Caller, Upload};
use tokio::sync::mpsc;

use crate::app::App;
use crate::problem::Problem;

/// Pieces that wait to be written.
const PIECES_WAITING: usize = 8;

/// Streams pieces to where imports read them; none if there were no bytes. What broke off leaves nothing behind.
///
/// # Errors
/// They broke off, were too many, or could not be written.
pub(crate) async fn take(
    app: &App,
    caller: Caller,
    label: String,
    pieces: impl Stream<Item = Result<Bytes, Problem>>,
) -> Result<Option<Upload>, Problem> {
    let mut upload = app.call(move |service| service.upload(&caller, &label)).await?;
    let permit = app.uploads().enter().await?;
    let (send, mut receive) = mpsc::channel::<Bytes>(PIECES_WAITING);
    let writing = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut result = Ok(());
        while let Some(piece) = receive.blocking_recv() {
            result = upload.write_all(&piece);
            if result.is_err() || upload.bytes() > UPLOAD_BYTES {
                break;
            }
        }
        (upload, result)
    });
    let mut pieces = pin!(pieces);
    let mut broken = None;
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => {
                if send.send(piece).await.is_err() {
                    break;
                }
            }
            Err(problem) => {
                broken = Some(problem);
                break;
            }
        }
    }
    drop(send);
    let (upload, result) = writing.await.map_err(Problem::internal)?;
    let problem = match (broken, result) {
        (Some(problem), _) => Some(problem),
        (None, Err(error)) => Some(Problem::internal(error)),
        (None, Ok(())) if upload.bytes() > UPLOAD_BYTES => Some(too_large()),
        (None, Ok(())) if upload.bytes() == 0 => None,
        (None, Ok(())) => return Ok(Some(upload)),
    };
    discard(app, upload).await;
    problem.map_or(Ok(None), Err)
}

/// Removes what is not to be imported.
pub(crate) async fn discard(app: &App, upload: Upload) {
    // What cannot be removed now, `doctor` tells of.
    let _ = app
        .call(move |service| {
            service.discard_upload(upload);
            Ok(())
        })
        .await;
}

/// More bytes than an import may have.
pub(crate) fn too_large() -> Problem {
    Problem::too_large(usize::try_from(UPLOAD_BYTES).unwrap_or(usize::MAX))
}
