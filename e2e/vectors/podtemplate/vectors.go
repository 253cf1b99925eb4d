package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"reflect"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/conditions"
	"github.com/argoproj/argo-rollouts/utils/hash"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

//go:embed cases.yaml
var casesYAML []byte

// aCase is one document of cases.yaml: a pod template, or the steps of a canary.
type aCase struct {
	Name     string          `json:"name"`
	Template json.RawMessage `json:"template,omitempty"`
	Steps    json.RawMessage `json:"steps,omitempty"`
}

// vector is a case and what Go makes of it.
type vector struct {
	aCase
	// JSON is what Go's encoder writes.
	JSON string `json:"json"`
	// Hash is the hash without a collision count.
	Hash string `json:"hash"`
	// Collisions holds the hashes with a collision count, by count. Templates only.
	Collisions map[string]string `json:"collisions,omitempty"`
}

func vectors() []vector {
	var all []vector
	covered := map[string]bool{}
	for document := range bytes.SplitSeq(casesYAML, []byte("\n---\n")) {
		var c aCase
		check(yaml.UnmarshalStrict(document, &c))
		all = append(all, evaluate(c, covered))
	}
	for seed := range int64(24) {
		// The first one has every field.
		template, err := json.Marshal(randomTemplate(seed, map[bool]float64{true: 0, false: 0.75}[seed == 0]))
		check(err)
		c := aCase{Name: fmt.Sprintf("random template %d", seed), Template: template}
		all = append(all, evaluate(c, covered))
	}
	for name := range fields() {
		if !covered[name] {
			log.Fatalf("no case has a %s", name)
		}
	}
	return all
}

func evaluate(c aCase, covered map[string]bool) vector {
	v := vector{aCase: c}
	if c.Steps != nil {
		rollout := &v1alpha1.Rollout{}
		rollout.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{}
		canary := rollout.Spec.Strategy.Canary
		decode(c.Name, map[string]any{"steps": parse(c.Steps)}, canary)
		again(c.Name, canary)
		v.JSON = encode(canary.Steps)
		v.Hash = conditions.ComputeStepHash(rollout)
		cover(covered, reflect.ValueOf(canary.Steps))
		return v
	}
	template := &corev1.PodTemplateSpec{}
	decode(c.Name, parse(c.Template).(map[string]any), template)
	again(c.Name, template)
	v.JSON = encode(template)
	v.Hash = hash.ComputePodTemplateHash(template, nil)
	v.Collisions = map[string]string{}
	for _, count := range []int32{0, 1, 300, math.MaxInt32, -1} {
		v.Collisions[fmt.Sprint(count)] = hash.ComputePodTemplateHash(template, &count)
	}
	cover(covered, reflect.ValueOf(template))
	return v
}

// parse reads JSON as the watch cache does: whole numbers stay whole.
func parse(data []byte) any {
	var value any
	check(utiljson.Unmarshal(data, &value))
	return value
}

// decode reads an object into its type as the watch cache does.
func decode(name string, object map[string]any, into any) {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, into); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
}

// again takes an object through JSON once more, as happens before every reconciliation.
func again[T any](name string, object *T) {
	data, err := json.Marshal(object)
	check(err)
	*object = *new(T)
	if err := json.Unmarshal(data, object); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
}

func encode(value any) string {
	data, err := json.Marshal(value)
	check(err)
	return string(data)
}

// cover notes the structs that a value has something in.
func cover(covered map[string]bool, value reflect.Value) {
	if special[value.Type()] != "" {
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			cover(covered, value.Elem())
		}
	case reflect.Slice:
		for i := range value.Len() {
			cover(covered, value.Index(i))
		}
	case reflect.Map:
		for _, key := range value.MapKeys() {
			cover(covered, value.MapIndex(key))
		}
	case reflect.Struct:
		covered[value.Type().Name()] = true
		for i := range value.NumField() {
			cover(covered, value.Field(i))
		}
	}
}
