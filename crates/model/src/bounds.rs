//! Every bound, with its reason. Whatever repeats, queues or nests is held by one of these.

/// Prompt variables that get columns of their own, at most: a prompt has a handful, and a reader that infers types
/// has to see each of them.
pub const VARIABLE_COLUMNS: usize = 40;

/// Longest name of a column of an evaluation file, in characters: evaluators take no longer ones.
pub const COLUMN_NAME: usize = 60;

/// Items that the columns of a dataset are inferred from where only the items determine them, and bytes of them: what comes
/// later says seldom anything new, and this is read twice.
pub const ITEMS_INFERRED_FROM: u64 = 10_000;

/// See [`ITEMS_INFERRED_FROM`].
pub const BYTES_INFERRED_FROM: u64 = 64 << 20;

/// Nodes inside nodes of a run that are followed; deeper ones stay as the source wrote them. What people build has
/// a handful.
pub const NODE_DEPTH: usize = 24;

/// Largest single item (one conversation) that is read, in bytes: a larger one is refused with its position.
/// One item is held whole in memory, so this bounds memory per worker.
pub const ITEM_BYTES: usize = 256 << 20;

/// Largest single item that a server takes in, in bytes, if its settings do not say: many people's are read at once,
/// and the largest that people have without files in them are a few megabytes.
pub const SERVED_ITEM_BYTES: usize = 32_000_000;

/// Bytes of input that one worker takes at a time: large enough to make hand-over cheap, small enough that
/// a batch and what is made of it fit the second cache together.
pub const BATCH_BYTES: usize = 256 << 10;

/// Bytes of batches with large items that are in memory at once, for each worker; a larger item is processed alone. Shaping
/// an item takes several times its size.
pub const LARGE_BATCH_BYTES_PER_WORKER: usize = 16 << 20;

/// Items in one batch: tiny items must not make the bookkeeping of one batch large.
pub const BATCH_ITEMS: usize = 4096;

/// Bytes of rows that are looked at to see whether those of one item stand one after another. Where they stand
/// anywhere, as in what vector stores give out, that shows in far fewer.
pub const ROWS_WATCHED_BYTES: usize = 64 << 20;

/// Parts of an export, at most: each is a process, and as many folders are merged.
pub const PARTS: u32 = 100_000;

/// Bytes for the files beside the data after which a group of rows is written, however few its rows are.
pub const BESIDE_BYTES: usize = 2 << 20;

/// Batches that one of the workers may be ahead of the others, for each of them; twice as many wait to be worked on.
pub const BATCHES_WAITING_PER_WORKER: usize = 2;

/// Most worker threads of one export.
pub const THREADS: usize = 64;

/// Bytes at the start of a file from which readers infer the types of its columns: they take 10 MB, and a
/// record that completes the types must come before that.
pub const INFERENCE_BYTES: u64 = 8 << 20;

/// Largest picture, video or sound beside a history that is read: an archive may unpack to anything.
pub const ATTACHMENT_BYTES: u64 = 1 << 30;

/// Most bytes of files that an import puts into one conversation: a conversation is read, served and exported as a whole,
/// and a server refuses items of more than 32 MB.
pub const EMBEDDED_BYTES: u64 = 20_000_000;

/// Largest picture that a row holds itself, as a data URL: OpenAI takes no larger one
/// (<https://developers.openai.com/api/docs/guides/vision-fine-tuning>).
pub const DATA_URL_BYTES: u64 = 10_000_000;

/// Pictures that a row holds itself or names by their URLs: OpenAI takes no row with more, by the same page; Azure OpenAI
/// takes 64.
pub const ROW_IMAGES: usize = 10;

/// Files that the records of one dataset may have beside their rows: more than the Hugging Face Hub advises for a
/// repository, and their list must fit into memory.
pub const RECORD_FILES: usize = 100_000;

/// Bytes after which a dataset's data file continues in a next shard.
pub const SHARD_BYTES: u64 = 4 << 30;

/// The same for datasets that are pushed to the Hugging Face Hub, as `datasets` writes them: a file is sent again if
/// anything in it changed.
pub const PUSHED_SHARD_BYTES: u64 = 500_000_000;

/// Rows of one Parquet row group: what readers load at a time.
pub const ROW_GROUP_ROWS: usize = 10_000;

/// Bytes of one Parquet row group before encoding; each worker may hold one.
pub const ROW_GROUP_BYTES: usize = 48 << 20;

/// Retrieved passages carried with one assistant message of a `history` record, at most: what
/// UIUC.chat retrieves for one.
pub const CONTEXTS_PER_MESSAGE: usize = 80;

/// Records that a preview shows: what a person looks through.
pub const PREVIEW_RECORDS: usize = 20;

/// Bytes of them, but for the first: as one page of a list has.
pub const PREVIEW_BYTES: usize = PAGE_BYTES;

/// Distinct tool definitions that one worker remembers in their prepared form.
pub const TOOLS_REMEMBERED: usize = 1024;

/// Outputs of one dataset (train, validation, test and the like): each holds a file open and rows in memory.
pub const SPLIT_OUTPUTS: usize = 16;

/// Values of the field to sample by: each takes 16 bytes of memory while the sample is chosen.
pub const SAMPLE_GROUPS: usize = 10_000_000;

/// Runs of words of benchmarks that are looked for: each takes some 40 bytes of memory.
pub const BENCHMARK_RUNS: usize = 10_000_000;

/// Items among which near duplicates are looked for: each takes some 400 bytes of memory.
pub const NEAR_DUPLICATES_ITEMS: u64 = 4_000_000;

/// Words of an item up to which it is compared with almost equal ones: their hashes are in memory at once.
pub const WORDS_COMPARED: usize = 2_000_000;

/// Renamed tools that the receipt lists by name; further ones are only counted.
pub const RENAMED_TOOLS_LISTED: usize = 1000;

/// Conversation ids that an account lists for one kind of finding; the count goes on.
pub const IDS_LISTED: usize = 20;

/// How many times its own size an archive may unpack to, past `ARCHIVE_FREE_BYTES`.
pub const ARCHIVE_RATIO: u64 = 200;

/// Bytes that any archive may unpack to, whatever its ratio.
pub const ARCHIVE_FREE_BYTES: u64 = 256 << 20;

/// Archives in archives, and other packing in packing, that are followed: people pack a folder of packed files, and
/// seldom that again.
pub const ARCHIVE_DEPTH: usize = 6;

/// Largest window of a Zstandard stream that is read without being asked for, in bytes: what its own tools take by
/// default. A stream needs as much memory.
pub const ZSTD_WINDOW_BYTES: u64 = 128 << 20;

/// Bytes of a file with an unknown ending that are looked at to see whether it is a history.
pub const SNIFFED_BYTES: usize = 256 << 10;

/// Bytes of the texts that the cells of a workbook share: they are in memory while its sheets are read.
pub const WORKBOOK_TEXT_BYTES: usize = 256 << 20;

/// Entries read from one archive.
pub const ARCHIVE_ENTRIES: usize = 1_000_000;

/// Folders within folders that are followed when a folder is read.
pub const FOLDER_DEPTH: usize = 32;

/// Longest cell that common spreadsheets keep, in characters.
pub const SPREADSHEET_CELL: usize = 32_767;

/// Characters of a dataset's name.
pub const DATASET_NAME: usize = 64;

/// Characters of a data file's name.
pub const FILE_NAME: usize = 128;

/// Bytes of a dataset's or a data file's name in UTF-8. File systems take 255; the rest is for endings, numbers of
/// shards, and what marks a file that is still being written.
pub const NAME_BYTES: usize = 200;

/// Ids of which the set of seen ids keeps exact hashes in memory before it spills to disk.
pub const SEEN_IDS_IN_MEMORY: usize = 900_000;

/// Contents without an id of which it is kept in memory how often they came; more are counted on disk.
pub const CONTENTS_COUNTED: usize = 500_000;

/// Halves of items, and records of side files, that wait in memory for what they belong to, some 150 bytes each. Past
/// that they are sorted on disk.
pub const FRAGMENTS_WAITING: usize = 500_000;

/// Bytes of rows that are sorted in memory before they go to disk.
pub const SORTED_IN_MEMORY_BYTES: usize = 64 << 20;

/// Sorted files that are read at once: each is an open file with a buffer.
pub const SORTED_RUNS: usize = 64;

/// Bytes that are written to the disk at once.
pub const DISK_BLOCK_BYTES: usize = 2 << 20;

/// Blocks of one file in memory: one being filled, one being written, and one between them.
pub const DISK_BLOCKS: usize = 3;

/// Rows that one statement writes or one page of a walk reads: more save little, fewer cost turns.
pub const ROWS_AT_ONCE: usize = 64;

/// Conversations that an import commits at once, at most: each commit writes a good part of the indexes.
pub const COMMIT_ITEMS: usize = 16_384;

/// Bytes of conversations that an import commits at once, at most: they wait in memory, compressed.
pub const COMMIT_BYTES: u64 = 64 << 20;

/// Conversations on one page of a list, at most.
pub const PAGE_ITEMS: usize = 1000;

/// Bytes of one page of a list, as JSON or HTML: a thousand ordinary rows fit twice, and several such pages at once
/// fit any server.
pub const PAGE_BYTES: usize = 4 << 20;

/// Bytes of the messages of a conversation of which one page of it is made: twice the page's own, as long texts are cut
/// there.
pub const EXCERPT_BYTES: usize = 2 * PAGE_BYTES;

/// Characters of a title, a model or a document's name that columns and lists have; the item keeps the whole text. A
/// title that people set is no longer than this.
pub const TITLE_CHARACTERS: usize = 1_000;

/// Tags of one conversation that columns and lists have, and that people set; the conversation keeps all of its
/// source's.
pub const TAGS: usize = 100;

/// Characters of one of these tags.
pub const TAG_CHARACTERS: usize = 200;

/// Bytes of history that one part of an export is made of: what is done again at most after a kill, some ten
/// seconds of work. Each part is a data file, and every file has to show readers the types of all columns again, so
/// they are large.
pub const PART_BYTES: u64 = 4_000_000_000;

/// Workers that may end before a job comes forward; then the job itself is at fault.
pub const JOB_ATTEMPTS: u64 = 10;

/// Rows that one look at a frozen selection spans: a batch of ordinary conversations has fewer.
pub const SELECTED_ROWS: u64 = 512;

/// Bytes of one part of an object that is sent: services take at most 10,000 parts and none under 5 MB.
pub const OBJECT_PART_BYTES: usize = 8 << 20;

/// Parts of one object that are sent at once.
pub const OBJECT_PARTS_IN_FLIGHT: usize = 2;

/// Bytes that are asked of an object at once when it is read.
pub const OBJECT_READ_BYTES: u64 = 2 << 20;

/// Shortest password, in characters: what the advice of the standards calls enough where guesses are slowed down.
pub const PASSWORD_CHARACTERS: usize = 10;

/// Longest password, in bytes: a longer one only costs time.
pub const PASSWORD_BYTES: usize = 1024;

/// Days that a session lasts.
pub const SESSION_DAYS: u64 = 14;

/// Minutes that a one-time link to sign in can be used.
pub const SIGN_IN_LINK_MINUTES: u64 = 30;

/// Days that an invitation can be used.
pub const INVITATION_DAYS: u64 = 7;

/// Days that a token lasts at most: one that leaked and was forgotten ends by itself.
pub const TOKEN_DAYS: u64 = 366;

/// Longest name of a person, a project, a token or an import, in characters.
pub const NAME_CHARACTERS: usize = 200;

/// Tokens, webhooks or shares that one person has in a project, at most, so that none is forgotten among too many
/// and one webhook cannot become a flood.
pub const WEBHOOKS_PER_PERSON: usize = 10;

/// Hours for which a webhook's link to a dataset works at most: a program that was off over a long weekend still gets it.
pub const LINK_HOURS: u64 = 168;

/// Schedules of one person in a project: as many as one can keep an eye on.
pub const SCHEDULES_PER_PERSON: usize = 50;

/// Windows that the receipt of a series lists, the last ones: more than a year of hourly ones, in a file of a few megabytes
/// that is written with each delivery.
pub const SERIES_WINDOWS: usize = 10_000;

/// Failed runs in a row after which a schedule is disabled. With the waits between them, that takes about three hours: most
/// temporary problems are over by then.
pub const SCHEDULE_FAILURES: u64 = 5;

/// Exports of one person that wait or run at a time.
pub const EXPORTS_PER_PERSON: u64 = 4;

/// Bytes of one request that are taken at once: conversations, edits, settings. More comes as an import.
pub const REQUEST_BYTES: usize = 16 << 20;

/// Bytes that one request unpacks to, at most: several are read at once, and each may be one item, held whole.
pub const REQUEST_UNPACKED_BYTES: u64 = 64 << 20;

/// Default limit for the bytes on disk of a project's spans that wait for the rest of their traces: a few million
/// spans, compressed.
pub const TRACE_BYTES: u64 = 1_000_000_000;

/// Bytes of an import through the network.
pub const UPLOAD_BYTES: u64 = 64 << 30;

/// Bytes of the list that is kept of what an import could not read: about 400,000 items. If a file is no
/// history at all, the first of them show it.
pub const REJECTS_BYTES: u64 = 64 << 20;

/// Saved views of one person in a project, and characters of a view's name.
pub const VIEWS_PER_PERSON: usize = 100;
/// As above.
pub const VIEW_CHARACTERS: usize = 100;
/// Columns of a view: more than a list has.
pub const VIEW_COLUMNS: usize = 50;

/// Conversations that are drawn at random at a time: each is looked up by its id.
pub const SAMPLE_ITEMS: usize = 10_000;

/// Ids that one request names, at most: all that a filter matches need no ids.
pub const IDS_PER_REQUEST: usize = 100_000;

/// Models of one conversation that filters find: real ones name a few.
pub const MODELS: usize = 100;

/// Tools that one conversation is listed and found as calling.
pub const TOOLS: usize = 1000;

/// People of whom a conversation is found by what they judged.
pub const JUDGES: usize = 100;

/// Characters of a comment, a ground truth or a corrected answer in a judgement: more than any model answers at once.
pub const JUDGEMENT_CHARACTERS: usize = 1_000_000;

/// Conversations whose values are counted beside a list: the newest, in some tens of milliseconds.
pub const FACET_ITEMS: usize = 10_000;

/// Values of one field that are counted beside a list.
pub const FACET_VALUES: usize = 12;

/// Values of one field of a filter, at most, but for ids: each is one more comparison of every row.
pub const FIELD_VALUES: usize = 200;

/// Queries or texts that one search looks for: each is looked for in every item that the rest of the filter leaves.
pub const SEARCH_TEXTS: usize = 20;

/// Characters of a query or a text that is searched for: more than any title that lists show.
pub const SEARCH_CHARACTERS: usize = 1_000;

/// Words and fields of one query: each is a list of the index that has to be read.
pub const QUERY_PARTS: usize = 100;

/// Letters that have to come before the `*` of a word: fewer begin words of most conversations, all of which would be read.
pub const QUERY_START: usize = 3;

/// Bytes of the words of one conversation that a search looks at, questions and answers first: PostgreSQL keeps the words of
/// a row in less than 1 MB, with as much again for where they stand.
pub const WORD_BYTES: usize = 512 << 10;

/// Characters of a word that a search looks at: longer ones are keys, hashes and encoded files.
pub const WORD_CHARACTERS: usize = 64;

/// Places that one conversation is written down as citing: far more than people read.
pub const CITATIONS: usize = 1000;

/// Chunks of a document that are told at once: with their embeddings some megabytes.
pub const CHUNKS_AT_ONCE: usize = 100;

/// Days for which what a failed job made, or is to be made of, is kept for another try.
pub const FAILED_JOB_DAYS: i64 = 7;

/// Hours after which an answer is no longer kept for a request that comes again.
pub const ANSWER_HOURS: u64 = 24;

/// Seconds after which a request that never ended may be begun again under its key.
pub const ANSWER_STALE_SECONDS: u64 = 120;

/// Filters whose matches are chosen together: each makes the query longer.
pub const CHOSEN_FILTERS: usize = 20;

/// Conversations that an analysis looks at unless all were asked for: the newest, in some tens of milliseconds.
pub const ANALYSED_ROWS: usize = 10_000;

/// Conversations whose bodies an analysis reads, and bytes of them: a tenth of a second.
pub const ANALYSED_BODIES: usize = 1_000;

/// See [`ANALYSED_BODIES`].
pub const ANALYSED_BYTES: u64 = 32 << 20;

/// Conversations that are shaped and checked before an export is confirmed, and bytes of them: enough to see what it
/// will find, and done while someone waits.
pub const CHECKED_BEFORE: usize = 500;

/// See [`CHECKED_BEFORE`].
pub const CHECKED_BEFORE_BYTES: u64 = 16 << 20;

/// Characters of a run's question, answer and error that lists show and search looks at: what a row of a table
/// holds. More would make the index of trigrams larger than the runs.
pub const RUN_EXCERPT: usize = 160;

/// Copilots and recipes that are listed at once: projects have tens.
pub const FLOWS_LISTED: usize = 1000;

/// Versions, and nodes, of one copilot or recipe that are told, the most frequent: people choose from them.
pub const FLOW_PARTS_LISTED: usize = 1000;

/// Runs that charts are made of, the most recent that a filter means: a walk over their index takes some hundred
/// milliseconds.
pub const RUNS_CHARTED: u64 = 1_000_000;

/// Bars of one chart: more are not told apart on a page.
pub const CHART_BARS: i64 = 60;

/// Places of one item that a reader lists as not understood. More say nothing new of its shape; all that was there
/// stays with the item anyway.
pub const NOT_UNDERSTOOD: usize = 64;
