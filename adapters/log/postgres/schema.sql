-- The log in PostgreSQL, version 1. Installed once, in one transaction; es.meta holds the version.
--
-- Every key begins with the partition, and an append locks the rows of its partitions in the order of their names. So
-- positions have no gaps, and whoever sees an event sees all that came before it in its partition. There is no sequence,
-- no trigger and no advisory lock.

CREATE SCHEMA es;

CREATE TABLE es.meta (
  singleton     boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  version       int NOT NULL,
  pseudonym_key bytea NOT NULL CHECK (length(pseudonym_key) = 32),
  created_by    text NOT NULL,
  epoch         bigint NOT NULL DEFAULT 0,  -- rises with every writer that has the log for itself
  writer        text);                      -- the last one of these

CREATE TABLE es.partition (
  partition text COLLATE "C" PRIMARY KEY,
  fence     bigint NOT NULL DEFAULT 1,  -- rises with every change of owner; events hold it as their epoch
  owner     text COLLATE "C");          -- null: nobody drives it, and everybody may take turns

CREATE TABLE es.event (
  partition text COLLATE "C" NOT NULL REFERENCES es.partition,
  seq       bigint NOT NULL CHECK (seq > 0),
  stream    text COLLATE "C" NOT NULL,
  version   bigint NOT NULL CHECK (version > 0),
  kind      text COLLATE "C" NOT NULL,
  at        bigint NOT NULL,
  command   text COLLATE "C" NOT NULL,
  ordinal   int NOT NULL,
  epoch     bigint NOT NULL,
  data      bytea NOT NULL,             -- not jsonb: the chain covers these very bytes, and workers may type \u0000
  chain     bytea NOT NULL CHECK (length(chain) = 32),
  PRIMARY KEY (partition, seq),
  UNIQUE (partition, stream, version),
  UNIQUE (partition, command, ordinal));

CREATE TABLE es.payload (
  sha256  text COLLATE "C" PRIMARY KEY,
  salt    bytea NOT NULL,
  body    bytea NOT NULL,
  subject bigint);
CREATE INDEX ON es.payload (subject) WHERE subject IS NOT NULL;

-- The common order of all partitions: positions pos .. pos+n-1 are the events seq .. seq+n-1 of a partition.
CREATE TABLE es.feed (
  pos       bigint PRIMARY KEY,
  partition text COLLATE "C" NOT NULL REFERENCES es.partition,
  seq       bigint NOT NULL,
  n         bigint NOT NULL CHECK (n > 0),
  UNIQUE (partition, seq));

-- Append rows after the given heads of partitions, under the given fences. Return true if they were written now, and
-- false if these very rows are there already, which is how a writer learns what became of a COMMIT without an answer.
CREATE FUNCTION es.append(
    parts text[], fences bigint[], heads bigint[],
    partitions text[], seqs bigint[], streams text[], versions bigint[], kinds text[], ats bigint[],
    commands text[], ordinals int[], epochs bigint[], datas bytea[], chains bytea[])
  RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
  stale text;
  bad record;
BEGIN
  SELECT count(*), min(x.partition) FILTER (WHERE x.wanted <> x.fence) INTO n, stale
    FROM (SELECT p.partition, p.fence, w.fence AS wanted
            FROM unnest(parts, fences) w(partition, fence) JOIN es.partition p ON p.partition = w.partition
           ORDER BY p.partition FOR NO KEY UPDATE OF p) x;
  IF n <> cardinality(parts) THEN
    RAISE EXCEPTION 'unknown partition' USING ERRCODE = 'ES003';
  END IF;
  IF stale IS NOT NULL THEN
    RAISE EXCEPTION 'fenced' USING ERRCODE = 'ES001', DETAIL = stale;
  END IF;
  -- The chain alone does not identify a row, because two writers of one partition may append equal events.
  SELECT w.partition, w.head, h.seq AS actual, EXISTS (
           SELECT 1 FROM unnest(partitions, seqs, commands, ordinals, chains) u(p, q, c, o, h)
             JOIN es.event e ON e.partition = u.p AND e.seq = u.q
            WHERE u.p = w.partition AND e.command = u.c AND e.ordinal = u.o AND e.chain = u.h) AS mine
    INTO bad
    FROM unnest(parts, heads) w(partition, head)
   CROSS JOIN LATERAL (SELECT coalesce((SELECT e.seq FROM es.event e WHERE e.partition = w.partition
                                         ORDER BY e.seq DESC LIMIT 1), 0) AS seq) h
   WHERE w.head <> h.seq ORDER BY w.partition LIMIT 1;
  IF FOUND THEN
    IF bad.mine THEN
      RETURN false;
    END IF;
    RAISE EXCEPTION 'moved' USING ERRCODE = CASE WHEN bad.actual < bad.head THEN 'ES005' ELSE 'ES002' END,
      DETAIL = format('%s: expected to end at %s, ends at %s', bad.partition, bad.head, bad.actual);
  END IF;
  INSERT INTO es.event (partition, seq, stream, version, kind, at, command, ordinal, epoch, data, chain)
  SELECT u.* FROM unnest(partitions, seqs, streams, versions, kinds, ats, commands, ordinals, epochs, datas, chains)
                    u(p, q, s, v, k, a, c, o, e, d, h)
   WHERE u.p = ANY (parts);
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> cardinality(seqs) THEN
    RAISE EXCEPTION 'rows for a partition that was not named' USING ERRCODE = 'ES004';
  END IF;
  RETURN true;
END $$;

-- Give all committed events that have none their place in the common order. It is made after the commit, so appends to
-- different partitions do not wait for each other. The times of events rise with every command that their writer had
-- seen, so effects are placed after their causes, and the events of a command stand together.
-- Return the number of events placed; -1 if somebody else is at it, unless that is to be waited for.
CREATE FUNCTION es.place(wait boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  base bigint;
  total bigint;
BEGIN
  IF wait THEN
    PERFORM 1 FROM es.meta FOR UPDATE;
  ELSE
    PERFORM 1 FROM es.meta FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      RETURN -1;
    END IF;
  END IF;
  base := coalesce((SELECT f.pos + f.n FROM es.feed f ORDER BY f.pos DESC LIMIT 1), 1);
  WITH news AS (
    SELECT e.partition, e.seq, e.at, e.command, e.ordinal
      FROM es.partition p
     CROSS JOIN LATERAL (SELECT coalesce((SELECT f.seq + f.n - 1 FROM es.feed f WHERE f.partition = p.partition
                                           ORDER BY f.seq DESC LIMIT 1), 0) AS seq) placed
     CROSS JOIN LATERAL (SELECT * FROM es.event e WHERE e.partition = p.partition AND e.seq > placed.seq) e),
  numbered AS (
    SELECT *, row_number() OVER common AS k,
           row_number() OVER common - row_number() OVER (PARTITION BY partition ORDER BY seq) AS island
      FROM news WINDOW common AS (ORDER BY at, command, ordinal)),
  placed AS (
    INSERT INTO es.feed (pos, partition, seq, n)
    SELECT base + min(k) - 1, partition, min(seq), count(*) FROM numbered GROUP BY partition, island
    RETURNING n)
  SELECT coalesce(sum(placed.n), 0) INTO total FROM placed;
  RETURN total;
END $$;
