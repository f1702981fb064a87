PRAGMA application_id = 1970173042;
PRAGMA user_version = 1;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE entries (
    seq         INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    scope       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    project     TEXT,
    build       TEXT,
    remediation TEXT,
    body        TEXT NOT NULL CHECK (json_valid(body))
) STRICT;
INSERT INTO entries VALUES(1,'2026-01-05T10:00:30Z','prod-eu','detected','web','web:00000041-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"detected":{"build":"web:00000041-0b7d-4c55-9d1e-6f1c9a2e0b7d","number":41,"ended":"2026-01-05T10:00:02.5Z","diagnosis":{"cause":"hub_pull_limit","registry":"docker_hub","login":"anonymous","site":"build_image","phase":"PROVISIONING","recovered":false,"reason":null,"evidence":[{"place":{"context":"PROVISIONING"},"quote":"BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE: Unable to pull customer''s container image. toomanyrequests: You have reached your unauthenticated pull rate limit."}]}}}');
INSERT INTO entries VALUES(2,'2026-01-05T10:00:31Z','prod-eu','planned','web','web:00000041-0b7d-4c55-9d1e-6f1c9a2e0b7d','web-000000410b7d','{"remediation":{"id":"web-000000410b7d","entry":{"planned":{"id":"web-000000410b7d","project":"web","image":"node:22","because":"web:00000041-0b7d-4c55-9d1e-6f1c9a2e0b7d","site":"build_image","phase":"PROVISIONING","remedy":"registry_credential","policy":"services","credential":"dockerhub","role":"web-build","secret":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf","changes":[{"grant":{"role":"web-build","policy":"unthrottled-dockerhub","before":null,"after":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf*"}]}}},{"project":{"edits":[{"registry_credential":{"after":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf"}},{"pull_credentials":{"before":null,"after":"SERVICE_ROLE"}}]}}],"settle":"PT15S","verify_within":"PT24H","retry":"once","on_ineffective":"rollback","by":"policy"}}}}');
INSERT INTO entries VALUES(3,'2026-01-05T10:00:32Z','prod-eu','in_place',NULL,NULL,'web-000000410b7d','{"remediation":{"id":"web-000000410b7d","entry":{"in_place":{"change":0}}}}');
INSERT INTO entries VALUES(4,'2026-01-05T10:00:48Z','prod-eu','in_place',NULL,NULL,'web-000000410b7d','{"remediation":{"id":"web-000000410b7d","entry":{"in_place":{"change":1}}}}');
INSERT INTO entries VALUES(5,'2026-01-05T10:00:48.25Z','prod-eu','applied',NULL,NULL,'web-000000410b7d','{"remediation":{"id":"web-000000410b7d","entry":"applied"}}');
INSERT INTO entries VALUES(6,'2026-01-05T10:00:49Z','prod-eu','retry_intended',NULL,NULL,'web-000000410b7d','{"remediation":{"id":"web-000000410b7d","entry":"retry_intended"}}');
INSERT INTO entries VALUES(7,'2026-01-05T10:00:50Z','prod-eu','retried',NULL,'web:00000042-0b7d-4c55-9d1e-6f1c9a2e0b7d','web-000000410b7d','{"remediation":{"id":"web-000000410b7d","entry":{"retried":{"build":"web:00000042-0b7d-4c55-9d1e-6f1c9a2e0b7d"}}}}');
INSERT INTO entries VALUES(8,'2026-01-05T10:03:31Z','prod-eu','verified',NULL,'web:00000042-0b7d-4c55-9d1e-6f1c9a2e0b7d','web-000000410b7d','{"remediation":{"id":"web-000000410b7d","entry":{"verified":{"by":"web:00000042-0b7d-4c55-9d1e-6f1c9a2e0b7d"}}}}');
INSERT INTO entries VALUES(9,'2026-01-05T11:00:00Z','prod-eu','detected','api','api:00000007-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"detected":{"build":"api:00000007-0b7d-4c55-9d1e-6f1c9a2e0b7d","number":7,"ended":"2026-01-05T10:59:58Z","diagnosis":{"cause":"hub_pull_limit","registry":"docker_hub","login":"anonymous","site":"docker_client","phase":"BUILD","recovered":false,"reason":null,"evidence":[{"place":{"log":41},"quote":"Error response from daemon: toomanyrequests: You have reached your pull rate limit."}]}}}');
INSERT INTO entries VALUES(10,'2026-01-05T11:00:01Z','prod-eu','planned','api','api:00000007-0b7d-4c55-9d1e-6f1c9a2e0b7d','api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":{"planned":{"id":"api-000000070b7d","project":"api","image":"node:22","because":"api:00000007-0b7d-4c55-9d1e-6f1c9a2e0b7d","site":"docker_client","phase":"BUILD","remedy":"buildspec_login","policy":"services","credential":"dockerhub","role":"api-build","secret":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf","changes":[{"grant":{"role":"api-build","policy":"unthrottled-dockerhub","before":null,"after":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf*"}]}}},{"project":{"edits":[{"variable":{"name":"DOCKERHUB_USERNAME","reference":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf:username"}},{"variable":{"name":"DOCKERHUB_PASSWORD","reference":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf:password"}}]}}],"settle":"PT15S","verify_within":"PT24H","retry":"once","on_ineffective":"rollback","by":"policy"}}}}');
INSERT INTO entries VALUES(11,'2026-01-05T11:00:02Z','prod-eu','in_place',NULL,NULL,'api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":{"in_place":{"change":0}}}}');
INSERT INTO entries VALUES(12,'2026-01-05T11:00:18Z','prod-eu','in_place',NULL,NULL,'api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":{"in_place":{"change":1}}}}');
INSERT INTO entries VALUES(13,'2026-01-05T11:00:19Z','prod-eu','applied',NULL,NULL,'api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":"applied"}}');
INSERT INTO entries VALUES(14,'2026-01-05T11:00:19Z','prod-eu','retry_intended',NULL,NULL,'api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":"retry_intended"}}');
INSERT INTO entries VALUES(15,'2026-01-05T11:00:20Z','prod-eu','retry_refused',NULL,NULL,'api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":{"retry_refused":{"detail":"the build is too old to be retried"}}}}');
INSERT INTO entries VALUES(16,'2026-01-05T11:05:00Z','prod-eu','rollback_decided',NULL,'api:00000008-0b7d-4c55-9d1e-6f1c9a2e0b7d','api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":{"rollback_decided":{"reason":"made_worse","detail":"the service role can''t read the secret, as build api:8 shows","by":"api:00000008-0b7d-4c55-9d1e-6f1c9a2e0b7d"}}}}');
INSERT INTO entries VALUES(17,'2026-01-05T11:05:01Z','prod-eu','undone',NULL,NULL,'api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":{"undone":{"change":1}}}}');
INSERT INTO entries VALUES(18,'2026-01-05T11:05:17Z','prod-eu','rolled_back',NULL,NULL,'api-000000070b7d','{"remediation":{"id":"api-000000070b7d","entry":"rolled_back"}}');
INSERT INTO entries VALUES(19,'2026-01-05T11:10:00Z','prod-eu','planned','ops','ops:00000003-0b7d-4c55-9d1e-6f1c9a2e0b7d','ops-000000030b7d','{"remediation":{"id":"ops-000000030b7d","entry":{"planned":{"id":"ops-000000030b7d","project":"ops","image":"node:22","because":"ops:00000003-0b7d-4c55-9d1e-6f1c9a2e0b7d","site":"build_image","phase":"PROVISIONING","remedy":"registry_credential","policy":"services","credential":"dockerhub","role":"ops-build","secret":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf","changes":[{"grant":{"role":"ops-build","policy":"unthrottled-dockerhub","before":null,"after":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf*"}]}}},{"project":{"edits":[{"registry_credential":{"after":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf"}},{"pull_credentials":{"before":null,"after":"SERVICE_ROLE"}}]}}],"settle":"PT15S","verify_within":"PT24H","retry":"once","on_ineffective":"rollback","by":"policy"}}}}');
INSERT INTO entries VALUES(20,'2026-01-05T11:10:05Z','prod-eu','rollback_decided',NULL,NULL,'ops-000000030b7d','{"remediation":{"id":"ops-000000030b7d","entry":{"rollback_decided":{"reason":"operator","detail":"asked for by `unthrottled rollback`","by":null}}}}');
INSERT INTO entries VALUES(21,'2026-01-05T12:00:00Z','prod-eu','planned','batch','batch:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d','batch-000000010b7d','{"remediation":{"id":"batch-000000010b7d","entry":{"planned":{"id":"batch-000000010b7d","project":"batch","image":"node:22","because":"batch:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","site":"docker_client","phase":"BUILD","remedy":"buildspec_login","policy":"services","credential":"dockerhub","role":"batch-build","secret":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf","changes":[{"grant":{"role":"batch-build","policy":"unthrottled-dockerhub","before":null,"after":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf*"}]}}},{"project":{"edits":[{"variable":{"name":"DOCKERHUB_USERNAME","reference":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf:username"}},{"variable":{"name":"DOCKERHUB_PASSWORD","reference":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf:password"}}]}}],"settle":"PT15S","verify_within":"PT24H","retry":"once","on_ineffective":"rollback","by":"policy"}}}}');
INSERT INTO entries VALUES(22,'2026-01-05T12:00:02Z','prod-eu','in_place',NULL,NULL,'batch-000000010b7d','{"remediation":{"id":"batch-000000010b7d","entry":{"in_place":{"change":0}}}}');
INSERT INTO entries VALUES(23,'2026-01-05T12:00:19Z','prod-eu','in_place',NULL,NULL,'batch-000000010b7d','{"remediation":{"id":"batch-000000010b7d","entry":{"in_place":{"change":1}}}}');
INSERT INTO entries VALUES(24,'2026-01-05T12:00:20Z','prod-eu','applied',NULL,NULL,'batch-000000010b7d','{"remediation":{"id":"batch-000000010b7d","entry":"applied"}}');
INSERT INTO entries VALUES(25,'2026-01-05T12:30:00Z','prod-eu','escalated',NULL,NULL,'batch-000000010b7d','{"remediation":{"id":"batch-000000010b7d","entry":{"escalated":{"reason":"not_proven","detail":"no later build of the project proved or disproved the remedy in time"}}}}');
INSERT INTO entries VALUES(26,'2026-01-05T12:31:00Z','prod-eu','left','flaky','flaky:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"judged":{"build":"flaky:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","judgement":{"left":{"reason":"attempts_exhausted","detail":"2 remediations of the project were tried; `unthrottled clear` allows more"}}}}');
INSERT INTO entries VALUES(27,'2026-01-05T12:32:00Z','prod-eu','cleared','flaky',NULL,NULL,'{"cleared":{"project":"flaky"}}');
INSERT INTO entries VALUES(28,'2026-01-05T12:33:00Z','prod-eu','password_reset_advised',NULL,NULL,'batch-000000010b7d','{"password_reset_advised":{"credential":"dockerhub","id":"batch-000000010b7d"}}');
INSERT INTO entries VALUES(29,'2026-01-05T13:00:00Z','prod-eu','detected','shop','shop:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"detected":{"build":"shop:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","number":1,"ended":"2026-01-05T12:59:00Z","diagnosis":{"cause":"hub_pull_limit","registry":"docker_hub","login":"anonymous","site":"build_image","phase":"PROVISIONING","recovered":false,"reason":null,"evidence":[{"place":{"context":"PROVISIONING"},"quote":"BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE: Unable to pull customer''s container image. toomanyrequests: You have reached your unauthenticated pull rate limit."}]}}}');
INSERT INTO entries VALUES(30,'2026-01-05T13:00:01Z','prod-eu','held','shop','shop:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"judged":{"build":"shop:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","judgement":{"held":{"reason":"max_open","detail":"5 remediations are under way","until":"2026-01-05T13:01:01Z"}}}}');
INSERT INTO entries VALUES(31,'2026-01-05T13:02:00Z','prod-eu','covered','shop','shop:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d','web-000000410b7d','{"judged":{"build":"shop:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","judgement":{"covered":{"by":"web-000000410b7d"}}}}');
INSERT INTO entries VALUES(32,'2026-01-05T13:03:00Z','prod-eu','detected','infra','infra:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"detected":{"build":"infra:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","number":1,"ended":"2026-01-05T13:02:00Z","diagnosis":{"cause":"hub_pull_limit","registry":"docker_hub","login":"anonymous","site":"build_image","phase":"PROVISIONING","recovered":false,"reason":null,"evidence":[{"place":{"context":"PROVISIONING"},"quote":"BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE: Unable to pull customer''s container image. toomanyrequests: You have reached your unauthenticated pull rate limit."}]}}}');
INSERT INTO entries VALUES(33,'2026-01-05T13:03:01Z','prod-eu','proposed','infra','infra:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"judged":{"build":"infra:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","judgement":{"proposed":{"plan":{"id":"infra-000000010b7d","project":"infra","image":"node:22","because":"infra:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","site":"build_image","phase":"PROVISIONING","remedy":"registry_credential","policy":"services","credential":"dockerhub","role":"infra-build","secret":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf","changes":[{"grant":{"role":"infra-build","policy":"unthrottled-dockerhub","before":null,"after":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf*"}]}}},{"project":{"edits":[{"registry_credential":{"after":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-AbCdEf"}},{"pull_credentials":{"before":null,"after":"SERVICE_ROLE"}}]}}],"settle":"PT15S","verify_within":"PT24H","retry":"once","on_ineffective":"rollback","by":"policy"},"mode":"propose"}}}}');
INSERT INTO entries VALUES(34,'2026-01-05T13:04:00Z','prod-eu','detected','mirror','mirror:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"detected":{"build":"mirror:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","number":1,"ended":"2026-01-05T13:03:00Z","diagnosis":{"cause":"other_registry","registry":"ecr_public","login":"unknown","site":"docker_client","phase":"BUILD","recovered":false,"reason":null,"evidence":[{"place":{"log":41},"quote":"Error response from daemon: toomanyrequests: You have reached your pull rate limit."}]}}}');
INSERT INTO entries VALUES(35,'2026-01-05T13:04:01Z','prod-eu','left','mirror','mirror:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"judged":{"build":"mirror:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","judgement":{"left":{"reason":"other_registry","detail":"another registry throttled; a Docker Hub login does nothing for it"}}}}');
INSERT INTO entries VALUES(36,'2026-01-05T13:05:00Z','prod-eu','detected','big','big:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"detected":{"build":"big:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","number":1,"ended":"2026-01-05T13:04:00Z","diagnosis":{"cause":"hub_pull_limit","registry":"docker_hub","login":"authenticated","site":"docker_client","phase":"BUILD","recovered":false,"reason":null,"evidence":[{"place":{"log":41},"quote":"Error response from daemon: toomanyrequests: You have reached your pull rate limit."}]}}}');
INSERT INTO entries VALUES(37,'2026-01-05T13:05:01Z','prod-eu','left','big','big:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"judged":{"build":"big:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","judgement":{"left":{"reason":"already_authenticated","detail":"the Docker account itself has reached its limit"}}}}');
INSERT INTO entries VALUES(38,'2026-01-05T13:06:00Z','prod-eu','left','frozen','frozen:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"judged":{"build":"frozen:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","judgement":{"left":{"reason":"stop_switch","detail":"the project is tagged `unthrottled = off`"}}}}');
INSERT INTO entries VALUES(39,'2026-01-05T13:07:00Z','prod-eu','undecided','torn','torn:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d',NULL,'{"undecided":{"build":"torn:00000001-0b7d-4c55-9d1e-6f1c9a2e0b7d","reason":"message_cut"}}');
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO meta VALUES('id','b7f6b0c2-54b1-4a43-9d5e-2f6a2b0d7c11');
INSERT INTO meta VALUES('emitted','36');
CREATE TABLE watch (
    scope TEXT PRIMARY KEY,
    body  TEXT NOT NULL CHECK (json_valid(body))
) STRICT;
INSERT INTO watch VALUES('prod-eu','{"recent":[],"open":{},"swept":null,"order":"newest_first"}');
CREATE TRIGGER entries_are_appended BEFORE INSERT ON entries
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entries)
BEGIN SELECT raise(ABORT, 'the ledger is only appended to'); END;
CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
BEGIN SELECT raise(ABORT, 'the ledger is never rewritten'); END;
CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries
BEGIN SELECT raise(ABORT, 'the ledger is never rewritten'); END;
CREATE VIEW timeline AS
SELECT
    seq,
    at,
    scope,
    kind,
    coalesce(project, (
        SELECT planned.project FROM entries AS planned
        WHERE planned.remediation = entries.remediation AND planned.kind = 'planned'
    )) AS project,
    build,
    remediation,
    (
        SELECT group_concat(value, ': ') FROM json_tree(entries.body)
        WHERE key IN ('cause', 'remedy', 'reason', 'detail') AND atom IS NOT NULL
    ) AS why
FROM entries
ORDER BY seq;
COMMIT;
