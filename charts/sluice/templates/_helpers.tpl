{{- define "sluice.name" -}}sluice{{- end }}

{{- define "sluice.fullname" -}}
{{- if contains "sluice" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-sluice" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- /* Names of objects without a namespace: two releases of one name must not share them. */}}
{{- define "sluice.clusterName" -}}
{{- if eq .Release.Namespace "sluice" }}{{ include "sluice.fullname" . }}{{ else }}{{ printf "%s-%s" (include "sluice.fullname" .) .Release.Namespace }}{{ end }}
{{- end }}

{{- define "sluice.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "sluice.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ required "serviceAccount.name must be set when serviceAccount.create is false" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: sluice
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "sluice.image" -}}
{{- if .Values.image.digest }}{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}{{ else }}{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}{{ end }}
{{- end }}

{{- define "sluice.controllers" -}}
{{- $list := list }}
{{- if .Values.controllers.rollouts }}{{ $list = append $list "rollouts" }}{{ end }}
{{- if .Values.controllers.experiments }}{{ $list = append $list "experiments" }}{{ end }}
{{- if .Values.controllers.analysis }}{{ $list = append $list "analysis" }}{{ end }}
{{- if .Values.controllers.applications }}{{ $list = append $list "applications" }}{{ end }}
{{- required "at least one of controllers.rollouts, controllers.experiments, controllers.analysis, controllers.applications must be true" (join "," $list) }}
{{- end }}

{{- /* Not empty when metrics run their Jobs in another cluster. */}}
{{- define "sluice.jobsElsewhere" -}}
{{- if and .Values.controllers.analysis .Values.analysis.runJobs }}{{ .Values.analysisJobs.kubeconfigSecret }}{{ end }}
{{- end }}

{{- define "sluice.leaseName" -}}
argo-rollouts-controller-lock{{ with .Values.instanceId }}-{{ . }}{{ end }}
{{- end }}

{{- /*
A role and its binding to the controller. Takes a dict: root, name (suffix), scope (Role or ClusterRole), rules (text), and
for a Role in another namespace than the release's that namespace.
*/}}
{{- define "sluice.role" -}}
{{- $cluster := eq .scope "ClusterRole" -}}
{{- /* There, as in the cluster, another release may have roles of the same name. */ -}}
{{- $base := ternary (include "sluice.clusterName" .root) (include "sluice.fullname" .root) (or $cluster (not (empty .namespace))) -}}
{{- $namespace := default .root.Release.Namespace .namespace -}}
{{- $name := printf "%s-%s" $base .name -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .scope }}
metadata:
  name: {{ $name }}
  {{- if not $cluster }}
  namespace: {{ $namespace }}
  {{- end }}
  labels: {{- include "sluice.labels" .root | nindent 4 }}
rules: {{- .rules | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .scope }}Binding
metadata:
  name: {{ $name }}
  {{- if not $cluster }}
  namespace: {{ $namespace }}
  {{- end }}
  labels: {{- include "sluice.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .scope }}
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "sluice.serviceAccount" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
