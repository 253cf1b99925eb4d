package main

import (
	"math/rand"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"
)

// letters are what random texts are made of: what escapes, what does not, and more than one byte long.
var letters = []rune("ab<>&\"\\/\n\t\r\b\f\x01\x7f'\u2028\u2029é日😀")

// randomTemplate fills a pod template; empty is the share of optional fields that stay unset.
func randomTemplate(seed int64, empty float64) *corev1.PodTemplateSpec {
	template := &corev1.PodTemplateSpec{}
	randfill.NewWithSeed(seed).NilChance(empty).NumElements(1, 2).Funcs(
		func(text *string, c randfill.Continue) {
			runes := make([]rune, c.Intn(4))
			for i := range runes {
				runes[i] = letters[c.Intn(len(letters))]
			}
			*text = string(runes)
		},
		func(quantity *resource.Quantity, c randfill.Continue) {
			*quantity = resource.MustParse(aQuantity(c.Rand))
		},
		func(value *intstr.IntOrString, c randfill.Continue) {
			if c.Bool() {
				*value = intstr.FromInt32(c.Int31())
			} else {
				*value = intstr.FromString(letterString(c))
			}
		},
		func(instant *metav1.Time, c randfill.Continue) {
			*instant = metav1.NewTime(time.Unix(c.Int63n(1<<33), 0))
		},
		func(raw *metav1.FieldsV1, c randfill.Continue) {
			raw.Raw = []byte(`{"f:spec":{".":{},"f:b<":{}},"n":1.50}`)
		},
	).Fill(template)
	return template
}

func letterString(c randfill.Continue) string {
	return string(letters[c.Intn(len(letters))])
}

// aQuantity makes up a quantity that Kubernetes can read.
func aQuantity(random *rand.Rand) string {
	signs := []string{"", "", "", "", "-", "+"}
	suffixes := []string{
		"", "", "n", "u", "m", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Mi", "Gi", "Ti", "Pi", "Ei",
		"e0", "e3", "E-2", "e+1", "e12",
	}
	digits := func(most int) string {
		text := ""
		for range random.Intn(most + 1) {
			text += string(rune('0' + random.Intn(10)*random.Intn(2)))
		}
		return text
	}
	long := 4
	if random.Intn(4) == 0 {
		long = 22
	}
	text := signs[random.Intn(len(signs))] + string(rune('0'+random.Intn(10))) + digits(long)
	if random.Intn(2) == 0 {
		text += "." + digits(long/2+1)
	}
	return text + suffixes[random.Intn(len(suffixes))]
}
