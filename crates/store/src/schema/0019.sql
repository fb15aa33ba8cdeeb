-- Hours for which a notice's link to the dataset works; NULL for webhooks that are sent no links.
ALTER TABLE webhook ADD COLUMN link_hours BIGINT;
