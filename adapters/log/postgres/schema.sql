-- The log in PostgreSQL, version 7. Installed once, in one transaction; es.meta holds the version.
--
-- Every key but that of commands begins with the partition, and an append locks the rows of its partitions in the order
-- of their names. So positions have no gaps, and whoever sees an event sees all that came before it in its partition.
-- There is no sequence and no trigger.
--
-- Where a query looks events up row by row, OFFSET 0 keeps the planner from joining the other way round: it knows the
-- tables as they were when they were small, and would read the whole log for a few rows.

CREATE SCHEMA es;

CREATE TABLE es.meta (
  singleton     boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  version       int NOT NULL,
  pseudonym_key bytea NOT NULL CHECK (length(pseudonym_key) = 32),
  created_by    text NOT NULL,
  epoch         bigint NOT NULL DEFAULT 0); -- rises with every writer, and is the number of the last one

-- The operators that own partitions. One that lets its lease run out loses its row to whoever takes over a partition of
-- it, and with the row everything that it may write.
CREATE TABLE es.operator (
  operator    text COLLATE "C" PRIMARY KEY,
  started_at  timestamptz NOT NULL,
  steady_from timestamptz NOT NULL,         -- since then, no lease has run out
  beaten_at   timestamptz NOT NULL,
  alive_until timestamptz NOT NULL);

-- The largest id that was given out in each category of streams; writers get them in blocks.
CREATE TABLE es.ids (
  category text COLLATE "C" PRIMARY KEY,
  last     bigint NOT NULL);

CREATE TABLE es.partition (
  partition text COLLATE "C" PRIMARY KEY,
  fence     bigint NOT NULL DEFAULT 1,  -- rises with every change of owner; events hold it as their epoch
  owner     text COLLATE "C",           -- the operator that drives the run; everybody may take turns
  owned_at  timestamptz);

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
  UNIQUE (command, ordinal));           -- once in all partitions, as in the copies

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

-- The copies of the log in files, and how far each has deleted what was erased, by its own word.
CREATE TABLE es.copy (
  copy     text COLLATE "C" PRIMARY KEY,
  pos      bigint NOT NULL,
  heard_at timestamptz NOT NULL);

-- Append rows after the given heads of partitions, under the given fences. Return true if they were written now, and
-- false if these very rows are there already, which is how a writer learns what became of a COMMIT without an answer.
-- An operator must still have its row.
CREATE FUNCTION es.append(
    writer text, parts text[], fences bigint[], heads bigint[],
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
  IF writer IS NOT NULL THEN
    PERFORM 1 FROM es.operator o WHERE o.operator = writer FOR KEY SHARE;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'fenced' USING ERRCODE = 'ES001', DETAIL = array_to_string(parts, ', ');
    END IF;
  END IF;
  -- The chain alone does not identify a row, because two writers of one partition may append equal events.
  SELECT w.partition, w.head, h.seq AS actual, EXISTS (
           SELECT 1 FROM unnest(partitions, seqs, commands, ordinals, chains) u(p, q, c, o, h)
            CROSS JOIN LATERAL (SELECT * FROM es.event e WHERE e.partition = u.p AND e.seq = u.q OFFSET 0) e
            WHERE u.p = w.partition AND e.command = u.c AND e.ordinal = u.o AND e.chain = u.h) AS mine
    INTO bad
    FROM unnest(parts, heads) w(partition, head)
   CROSS JOIN LATERAL (SELECT coalesce((SELECT e.seq FROM es.event e WHERE e.partition = w.partition
                                         ORDER BY e.seq DESC LIMIT 1), 0) AS seq) h
   WHERE w.head <> h.seq ORDER BY mine DESC, w.partition LIMIT 1;
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

-- Give all committed events that have none, and those of this transaction, their place in the common order. The times of
-- events rise with every command that their writer had seen, so effects are placed after their causes, and the events of
-- a command stand together.
--
-- One transaction places at a time, until its commit. A writer that appends does not wait for another one, so appends to
-- different partitions are committed at once; what it has not placed is placed by whoever reads the common order next.
-- Return the number of events placed. Listeners are notified of them.
CREATE FUNCTION es.place(waits boolean DEFAULT true) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  base bigint;
  total bigint;
BEGIN
  -- Usually whoever has committed has placed, too; then there is nothing to lock and to flush.
  PERFORM 1 FROM es.partition p
    CROSS JOIN LATERAL (SELECT coalesce((SELECT f.seq + f.n FROM es.feed f WHERE f.partition = p.partition
                                          ORDER BY f.seq DESC LIMIT 1), 1) AS seq) next
    CROSS JOIN LATERAL (SELECT 1 FROM es.event e WHERE e.partition = p.partition AND e.seq = next.seq OFFSET 0) e
    LIMIT 1;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  -- Not a row: who has waited for it mostly finds nothing left to do, and would still write, and wait for the standby.
  IF waits THEN
    PERFORM pg_advisory_xact_lock(hashtext('es.place'));
  ELSIF NOT pg_try_advisory_xact_lock(hashtext('es.place')) THEN
    RETURN 0;
  END IF;
  base := coalesce((SELECT f.pos + f.n FROM es.feed f ORDER BY f.pos DESC LIMIT 1), 1);
  WITH news AS (
    SELECT e.partition, e.seq, e.at, e.command, e.ordinal
      FROM es.partition p
     CROSS JOIN LATERAL (SELECT coalesce((SELECT f.seq + f.n - 1 FROM es.feed f WHERE f.partition = p.partition
                                           ORDER BY f.seq DESC LIMIT 1), 0) AS seq) placed
     CROSS JOIN LATERAL (SELECT * FROM es.event e WHERE e.partition = p.partition AND e.seq > placed.seq
                          ORDER BY e.seq OFFSET 0) e),
  numbered AS (
    SELECT *, row_number() OVER common AS k,
           row_number() OVER common - row_number() OVER (PARTITION BY partition ORDER BY seq) AS island
      FROM news WINDOW common AS (ORDER BY at, command, ordinal)),
  placed AS (
    INSERT INTO es.feed (pos, partition, seq, n)
    SELECT base + min(k) - 1, partition, min(seq), count(*) FROM numbered GROUP BY partition, island
    RETURNING n)
  SELECT coalesce(sum(placed.n), 0) INTO total FROM placed;
  IF total > 0 THEN
    PERFORM pg_notify('es', '');
  END IF;
  RETURN total;
END $$;

-- Prolong the lease of an operator, and return whether it still has one. The clock of the server decides alone.
CREATE FUNCTION es.beat(who text, lease interval) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE es.operator o SET
      steady_from = CASE WHEN o.alive_until > clock_timestamp() THEN o.steady_from ELSE clock_timestamp() END,
      beaten_at = clock_timestamp(), alive_until = clock_timestamp() + lease
   WHERE o.operator = who;
  RETURN FOUND;
END $$;

-- Become an operator.
CREATE FUNCTION es.join(who text, lease interval) RETURNS void LANGUAGE sql AS $$
  INSERT INTO es.operator
  SELECT who, t, t, t, t + lease FROM (SELECT clock_timestamp()) now(t)
  ON CONFLICT DO NOTHING
$$;

-- Become the owner of a partition, unless its owner is alive. Return the fence, or else the owner, when it was last heard
-- of, and after how many seconds to ask again.
--
-- After the server was away, the leases of all have run out. So only who has beaten for a moment, in which the others
-- would have beaten too, takes anything from them.
CREATE FUNCTION es.take(who text, wanted text, moment interval)
  RETURNS TABLE (fence bigint, holder text, heard_at timestamptz, seconds float) LANGUAGE plpgsql AS $$
DECLARE
  found_owner text;
  gone text;
BEGIN
  SELECT p.owner, p.fence INTO found_owner, fence FROM es.partition p WHERE p.partition = wanted FOR NO KEY UPDATE;
  IF found_owner = who THEN
    RETURN NEXT;
    RETURN;
  END IF;
  IF found_owner IS NOT NULL THEN
    DELETE FROM es.operator o WHERE o.operator = found_owner AND o.alive_until <= clock_timestamp()
       AND EXISTS (SELECT 1 FROM es.operator me WHERE me.operator = who AND me.steady_from + moment <= clock_timestamp())
      RETURNING o.operator INTO gone;
    SELECT o.operator, o.beaten_at,
           greatest(extract(epoch FROM o.alive_until - clock_timestamp()),
                    (SELECT extract(epoch FROM me.steady_from + moment - clock_timestamp())
                       FROM es.operator me WHERE me.operator = who), 0.1)
      INTO holder, heard_at, seconds FROM es.operator o WHERE o.operator = found_owner;
    IF FOUND THEN
      fence := NULL;
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  UPDATE es.partition p SET fence = p.fence + 1, owner = who, owned_at = clock_timestamp()
   WHERE p.partition = wanted RETURNING p.fence INTO fence;
  RETURN NEXT;
END $$;

-- Give a partition back. Listeners are told which one it is.
CREATE FUNCTION es.give(who text, wanted text) RETURNS void LANGUAGE sql AS $$
  WITH given AS (
    UPDATE es.partition SET owner = NULL, owned_at = NULL WHERE partition = wanted AND owner = who RETURNING partition)
  SELECT pg_notify('es', partition) FROM given
$$;

-- Give out a block of ids, and return the last one of it.
CREATE FUNCTION es.reserve(wanted text, used bigint, n bigint) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO es.ids VALUES (wanted, used + n)
  ON CONFLICT (category) DO UPDATE SET last = greatest(es.ids.last, used) + n RETURNING last
$$;

-- Record that a copy has deleted what was erased up to a position, and notify whoever waits for that.
CREATE FUNCTION es.confirm(who text, upto bigint) RETURNS void LANGUAGE sql AS $$
  INSERT INTO es.copy VALUES (who, upto, clock_timestamp())
  ON CONFLICT (copy) DO UPDATE SET pos = greatest(es.copy.pos, upto), heard_at = clock_timestamp();
  SELECT pg_notify('es', '');
$$;
