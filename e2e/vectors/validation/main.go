// Command validation writes down what the reference implementation says about Rollouts that are wrong, so that Sluice
// can say the same without Go.
//
// It is run by hand when a case is added or the reference changes (it builds half of Kubernetes):
//
//	cd e2e/vectors/validation && go run .
//
// Each case in cases.yaml is a JSON merge patch of the Rollout in base.yaml. Result: vectors.json.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"log"
	"os"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

//go:embed base.yaml
var baseYAML []byte

//go:embed cases.yaml
var casesYAML []byte

// aCase is one document of cases.yaml.
type aCase struct {
	Name string `json:"name"`
	// Patch is what is wrong, as a merge patch of the base.
	Patch json.RawMessage `json:"patch"`
	// Why says why Sluice's errors are not the reference's; Sluice lists them then.
	Why    string   `json:"why,omitempty"`
	Sluice []string `json:"sluice,omitempty"`
}

// vector is a case and what the reference says.
type vector struct {
	Name    string         `json:"name"`
	Rollout map[string]any `json:"rollout"`
	// Errors are the reference's, in its order.
	Errors []string `json:"errors"`
	Why    string   `json:"why,omitempty"`
	Sluice []string `json:"sluice,omitempty"`
}

func main() {
	log.SetFlags(0)
	var all []vector
	for document := range bytes.SplitSeq(casesYAML, []byte("\n---\n")) {
		var c aCase
		check(yaml.UnmarshalStrict(document, &c))
		base, err := yaml.YAMLToJSON(baseYAML)
		check(err)
		object := merge(parse(base), parse(c.Patch)).(map[string]any)
		rollout := &v1alpha1.Rollout{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, rollout); err != nil {
			log.Fatalf("%s: %v", c.Name, err)
		}
		errors := []string{}
		for _, err := range validation.ValidateRollout(rollout) {
			errors = append(errors, err.Error())
		}
		all = append(all, vector{c.Name, object, errors, c.Why, c.Sluice})
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(all))
	check(os.WriteFile("vectors.json", buffer.Bytes(), 0o644))
}

func parse(data []byte) any {
	var value any
	check(utiljson.Unmarshal(data, &value))
	return value
}

// merge applies a JSON merge patch (RFC 7386).
func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	fields, ok := target.(map[string]any)
	if !ok {
		fields = map[string]any{}
	}
	for key, change := range changes {
		if change == nil {
			delete(fields, key)
		} else {
			fields[key] = merge(fields[key], change)
		}
	}
	return fields
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
