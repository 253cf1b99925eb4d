{{- define "sluice.name" -}}sluice{{- end }}

{{- define "sluice.fullname" -}}
{{- if contains "sluice" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-sluice" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "sluice.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "sluice.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
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

{{- define "sluice.controllers" -}}
{{- $list := list }}
{{- if .Values.controllers.rollouts }}{{ $list = append $list "rollouts" }}{{ end }}
{{- if .Values.controllers.analysis }}{{ $list = append $list "analysis" }}{{ end }}
{{- if .Values.controllers.applications }}{{ $list = append $list "applications" }}{{ end }}
{{- required "at least one of controllers.rollouts, controllers.analysis, controllers.applications must be true" (join "," $list) }}
{{- end }}
