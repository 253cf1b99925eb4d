package main

import (
	"encoding/json"
	"log"
	"reflect"
	"strings"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// special holds the types that encode themselves; a type that does so and is not listed here stops the program.
var special = map[reflect.Type]string{
	reflect.TypeFor[resource.Quantity]():  "quantity",
	reflect.TypeFor[intstr.IntOrString](): "intOrString",
	reflect.TypeFor[metav1.Time]():        "time",
	reflect.TypeFor[metav1.FieldsV1]():    "raw",
	reflect.TypeFor[json.RawMessage]():    "raw",
}

var (
	marshaler = reflect.TypeFor[json.Marshaler]()
	timeType  = reflect.TypeFor[metav1.Time]()
)

// fields describes every struct that can be reached from a pod template or a canary step: by name, one line
// `name kind [omitempty] [omitzero]` for each field, in the order in which Go writes them.
//
// A kind is `string`, `bool`, `int32`, `int64`, one of the special kinds, the name of a struct, or one of these with
// the prefix `*` (pointer), `[]` (list) or `{}` (map with string keys).
func fields() map[string][]string {
	types := map[string][]string{}
	kind(types, reflect.TypeFor[corev1.PodTemplateSpec]())
	kind(types, reflect.TypeFor[v1alpha1.CanaryStep]())
	return types
}

func kind(types map[string][]string, t reflect.Type) string {
	if name, ok := special[t]; ok {
		return name
	}
	if t.Kind() != reflect.Pointer && (t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)) {
		log.Fatalf("%v encodes itself: say how in `special`", t)
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64:
		return t.Kind().String()
	case reflect.Pointer:
		return "*" + kind(types, t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			log.Fatalf("%v: bytes are not described", t)
		}
		return "[]" + kind(types, t.Elem())
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			log.Fatalf("%v: only maps with string keys are described", t)
		}
		return "{}" + kind(types, t.Elem())
	case reflect.Struct:
		if _, known := types[t.Name()]; !known {
			types[t.Name()] = []string{}
			types[t.Name()] = structFields(types, t)
		}
		return t.Name()
	}
	log.Fatalf("%v: kind %v is not described", t, t.Kind())
	return ""
}

func structFields(types map[string][]string, t reflect.Type) []string {
	lines := []string{}
	for i := range t.NumField() {
		field := t.Field(i)
		tag := field.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if field.Anonymous && name == "" {
			lines = append(lines, structFields(types, field.Type)...)
			continue
		}
		if name == "-" {
			continue
		}
		if name == "" {
			log.Fatalf("%v.%s has no JSON name", t, field.Name)
		}
		line := name + " " + kind(types, field.Type)
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "", "inline":
			case "omitempty":
				line += " omitempty"
			case "omitzero":
				if field.Type != timeType {
					log.Fatalf("%v.%s: omitzero is described for times only", t, field.Name)
				}
				line += " omitzero"
			default:
				log.Fatalf("%v.%s: option %q is not described", t, field.Name, option)
			}
		}
		lines = append(lines, line)
	}
	return lines
}
