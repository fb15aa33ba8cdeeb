//! Histories that others made: the folder that `RETORT_REAL_DATA` names.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of real histories. Where none is named, it says on standard error that the test is passed over.
pub fn real_data() -> Option<PathBuf> {
    let folder = env::var_os("RETORT_REAL_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("passed over: RETORT_REAL_DATA names no folder of real histories");
    }
    folder
}

/// All files in a folder and the folders in it, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
