-- Lists of runs are sorted by time or score, and those of documents by name or chunks, each from an index (see `orders.rs`).
CREATE INDEX run_took ON run (flow,
    (CASE WHEN started_at > -9223372036854775807 AND finished_at > -9223372036854775807
     THEN finished_at - started_at ELSE -9223372036854775807 END), key, status, marks, variant);
CREATE INDEX run_best ON run (flow, COALESCE(most_score, -9223372036854775807), key, status, marks, variant);
CREATE INDEX run_worst ON run (flow, COALESCE(least_score, 9223372036854775807), key, status, marks, variant);
CREATE INDEX document_name ON document (project, {sorted_name}, key, status);
CREATE INDEX document_chunks ON document (project, chunks, key, status);
