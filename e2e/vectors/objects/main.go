// Command objects writes objects of the Rollouts API in which every field of the reference implementation's types is set,
// so that Sluice can prove that its own types and definitions know them all.
//
// It is run by hand when the reference changes:
//
//	cd e2e/vectors/objects && go run .
//
// Result: objects.json. The objects have the right shape and make no sense.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
	"reflect"
	"time"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"
)

func main() {
	log.SetFlags(0)
	var objects []any
	for _, object := range []any{
		&v1alpha1.Rollout{}, &v1alpha1.AnalysisTemplate{}, &v1alpha1.ClusterAnalysisTemplate{},
		&v1alpha1.AnalysisRun{}, &v1alpha1.Experiment{},
	} {
		kind := reflect.TypeOf(object).Elem().Name()
		for seed := range int64(6) {
			// The first one has every field, the others have fewer and fewer.
			fresh := reflect.New(reflect.TypeOf(object).Elem()).Interface()
			fill(seed).NilChance(float64(seed) * 0.17).Fill(fresh)
			data, err := json.Marshal(fresh)
			check(err)
			var fields map[string]any
			check(json.Unmarshal(data, &fields))
			fields["apiVersion"] = "argoproj.io/v1alpha1"
			fields["kind"] = kind
			objects = append(objects, withoutNulls(fields))
		}
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(objects))
	check(os.WriteFile("objects.json", buffer.Bytes(), 0o644))
}

// fill fills what belongs to the Rollouts API; what belongs to Kubernetes is small and always the same.
func fill(seed int64) *randfill.Filler {
	texts := []string{"a", "b<c>&", "30s", "x/y", "é日"}
	return randfill.NewWithSeed(seed).NumElements(1, 2).Funcs(
		func(text *string, c randfill.Continue) { *text = texts[c.Intn(len(texts))] },
		func(meta *metav1.ObjectMeta, c randfill.Continue) {
			*meta = metav1.ObjectMeta{Name: "object", Namespace: "default", Labels: map[string]string{"a": "b"}}
		},
		func(instant *metav1.Time, c randfill.Continue) {
			*instant = metav1.NewTime(time.Unix(c.Int63n(1<<33), 0).UTC())
		},
		func(value *intstr.IntOrString, c randfill.Continue) {
			if c.Bool() {
				*value = intstr.FromInt32(c.Int31n(100))
			} else {
				*value = intstr.FromString("25%")
			}
		},
		func(raw *json.RawMessage, c randfill.Continue) {
			*raw = json.RawMessage(`{"a":[1,2.5,{"b":"<c>"}],"d":true}`)
		},
		func(template *corev1.PodTemplateSpec, c randfill.Continue) {
			template.Labels = map[string]string{"app": "web"}
			template.Spec.Containers = []corev1.Container{{Name: "web", Image: "web:1"}}
		},
		func(job *batchv1.JobSpec, c randfill.Continue) {
			job.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
			job.Template.Spec.Containers = []corev1.Container{{Name: "job", Image: "job:1"}}
		},
	)
}

// withoutNulls drops what Go writes for lists that are not there: an API server takes no null for them.
func withoutNulls(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			if field == nil {
				delete(value, key)
			} else {
				value[key] = withoutNulls(field)
			}
		}
	case []any:
		for i, element := range value {
			value[i] = withoutNulls(element)
		}
	}
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
