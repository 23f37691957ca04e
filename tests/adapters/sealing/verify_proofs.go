// Checks proofs of units with the packages note and tlog of golang.org/x/mod/sumdb, which share no code with ours.
//
// Reads one JSON object a line, {"key": ..., "proof": ...}, and answers each with a line: "genuine", or the reason why not.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Key   string `json:"key"`
	Proof string `json:"proof"`
}

type unitProof struct {
	Format  string        `json:"format"`
	Run     int64         `json:"run"`
	Unit    int64         `json:"unit"`
	Seal    string        `json:"seal"`
	Streams []streamProof `json:"streams"`
	Events  []eventProof  `json:"events"`
}

type streamProof struct {
	Stream  string   `json:"stream"`
	Version int64    `json:"version"`
	Index   int64    `json:"index"`
	Path    []string `json:"path"`
}

type eventProof struct {
	Event string `json:"event"`
	Proof string `json:"proof"`
}

type envelope struct {
	Stream  string `json:"stream"`
	Version int64  `json:"version"`
	Event   struct {
		Kind       string `json:"kind"`
		Agent      *int64 `json:"agent"`
		Assignment *int64 `json:"assignment"`
	} `json:"event"`
}

type treeHead struct {
	size int64
	root tlog.Hash
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked question
		err := json.Unmarshal(lines.Bytes(), &asked)
		if err == nil {
			err = check(asked)
		}
		if err == nil {
			fmt.Println("genuine")
		} else {
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	if lines.Err() != nil {
		panic(lines.Err())
	}
}

func check(asked question) error {
	var proof unitProof
	decoder := json.NewDecoder(strings.NewReader(asked.Proof))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&proof); err != nil {
		return err
	}
	if proof.Format != "mephisto-es proof 1" {
		return errors.New("not a proof of a unit")
	}
	events, streams, err := openSeal(proof.Seal, asked.Key)
	if err != nil {
		return err
	}
	versions := map[string]int64{}
	for _, one := range proof.Streams {
		entry := fmt.Sprintf("%s\n%d\n", one.Stream, one.Version)
		if _, known := versions[one.Stream]; known {
			return errors.New("a stream twice")
		}
		if err := checkEntry(one.Path, streams, one.Index, entry); err != nil {
			return err
		}
		versions[one.Stream] = one.Version
	}
	seen := map[string]int64{}
	wanted := map[string]bool{fmt.Sprintf("unit/%d/%d", proof.Run, proof.Unit): true}
	for _, one := range proof.Events {
		found, err := checkEvent(one, proof.Seal, events)
		if err != nil {
			return err
		}
		seen[found.Stream]++
		if found.Version != seen[found.Stream] {
			return errors.New("an event is left out")
		}
		if found.Event.Kind == "unit_created" && found.Event.Assignment != nil {
			wanted[fmt.Sprintf("assignment/%d/%d", proof.Run, *found.Event.Assignment)] = true
		}
		if found.Event.Kind == "unit_assigned" && found.Event.Agent != nil {
			wanted[fmt.Sprintf("agent/%d/%d", proof.Run, *found.Event.Agent)] = true
		}
	}
	if len(wanted) != len(versions) || len(seen) != len(versions) {
		return errors.New("a stream is left out, or one too many")
	}
	for name, version := range versions {
		if !wanted[name] || seen[name] != version {
			return errors.New("an event of " + name + " is left out")
		}
	}
	return nil
}

func checkEvent(one eventProof, seal string, events treeHead) (envelope, error) {
	var found envelope
	head, rest, _ := strings.Cut(one.Proof, "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || rest != seal {
		return found, errors.New("not a tlog-proof with this seal")
	}
	index, err := decimal(strings.TrimPrefix(lines[1], "index "))
	if err != nil || !strings.HasPrefix(lines[1], "index ") {
		return found, errors.New("no index")
	}
	if err := checkEntry(lines[2:], events, index, one.Event); err != nil {
		return found, err
	}
	return found, json.Unmarshal([]byte(one.Event), &found)
}

func checkEntry(path []string, head treeHead, index int64, entry string) error {
	var proof tlog.RecordProof
	for _, part := range path {
		hash, err := parseHash(part)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	return tlog.CheckRecord(proof, head.size, head.root, index, tlog.RecordHash([]byte(entry)))
}

func openSeal(seal, key string) (events, streams treeHead, err error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return
	}
	opened, err := note.Open([]byte(seal), note.VerifierList(verifier))
	if err != nil {
		return
	}
	// The package accepts bits that base64 does not use.
	for _, one := range append(opened.Sigs, opened.UnverifiedSigs...) {
		if _, err = base64.StdEncoding.Strict().DecodeString(one.Base64); err != nil {
			return
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 5 || lines[0] != verifier.Name() || lines[4] != "" {
		return events, streams, errors.New("not a checkpoint of this log")
	}
	if events, err = parseHead(lines[1], lines[2]); err != nil {
		return
	}
	words := strings.Split(lines[3], " ")
	if len(words) != 3 || words[0] != "mephisto-es/streams" {
		return events, streams, errors.New("no line about the streams")
	}
	streams, err = parseHead(words[1], words[2])
	return
}

func parseHead(size, root string) (head treeHead, err error) {
	if head.size, err = decimal(size); err == nil {
		head.root, err = parseHash(root)
	}
	return
}

func decimal(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err == nil && strconv.FormatInt(number, 10) != text {
		err = errors.New("not a decimal number")
	}
	return number, err
}

func parseHash(text string) (hash tlog.Hash, err error) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err == nil && len(data) != tlog.HashSize {
		err = errors.New("not a hash")
	}
	copy(hash[:], data)
	return
}
