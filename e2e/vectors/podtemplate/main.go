// Command podtemplate writes down how Go encodes pod templates and canary steps, so that Sluice can compute the same
// hashes without Go.
//
// It is run by hand when the Kubernetes libraries of the reference implementation change:
//
//	cd e2e/vectors/podtemplate && go run .
//
// It writes, relative to this folder:
//
//	../../../rollout/data/pod_template_fields.json  the types: field names in Go's order, kinds, omitempty
//	vectors.json                                    templates and steps, their Go JSON, and their hashes
//	quantities.json                                 quantities and their canonical form
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
)

const fieldsFile = "../../../rollout/data/pod_template_fields.json"

func main() {
	log.SetFlags(0)
	write(fieldsFile, fields())
	write("vectors.json", vectors())
	write("quantities.json", quantities())
}

// write stores a value as indented JSON, with < > & as they are, so that diffs stay readable.
func write(path string, value any) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(value))
	check(os.WriteFile(path, buffer.Bytes(), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
