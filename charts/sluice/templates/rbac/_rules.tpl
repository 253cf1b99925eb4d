{{- /* The reason for each rule is in docs/rbac.md, under the same heading. */}}

{{- define "sluice.rules.rollouts" -}}
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts/status]
  verbs: [patch]
- apiGroups: [argoproj.io]
  resources: [rollouts/finalizers]
  verbs: [update]
- apiGroups: [argoproj.io]
  resources: [analysistemplates]
  verbs: [get, list, watch]
- apiGroups: [argoproj.io]
  resources: [analysisruns, experiments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
- apiGroups: [""]
  resources: [podtemplates]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, patch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, grpcroutes, tcproutes, tlsroutes]
  verbs: [get, list, watch, patch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, gatewayclasses]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [traefik.io]
  resources: [traefikservices]
  verbs: [get, list, watch, patch]
{{- end }}

{{- define "sluice.rules.experiments" -}}
- apiGroups: [argoproj.io]
  resources: [experiments]
  verbs: [get, list, watch, patch]
- apiGroups: [argoproj.io]
  resources: [experiments/finalizers]
  verbs: [update]
- apiGroups: [argoproj.io]
  resources: [rollouts, analysistemplates]
  verbs: [get, list, watch]
- apiGroups: [argoproj.io]
  resources: [analysisruns]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, delete]
{{- end }}

{{- define "sluice.rules.analysis" -}}
- apiGroups: [argoproj.io]
  resources: [analysisruns]
  verbs: [get, list, watch, patch, delete]
{{- if not .Values.analysisJobs.kubeconfigSecret }}
- apiGroups: [argoproj.io]
  resources: [analysisruns/finalizers]
  verbs: [update]
{{- if not .Values.analysisJobs.namespace }}
{{ include "sluice.rules.jobs" . }}
{{- end }}
{{- end }}
{{- if .Values.analysis.readSecrets }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end }}
{{- end }}

{{- define "sluice.rules.jobs" -}}
{{- if .Values.analysis.runJobs }}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end }}
{{- end }}

{{- define "sluice.rules.applications" -}}
- apiGroups: [argoproj.io]
  resources: [applications]
  verbs: [get, list, watch, patch]
- apiGroups: [argoproj.io]
  resources: [appprojects, rollouts]
  verbs: [get, list, watch]
{{- end }}

{{- define "sluice.rules.settings" -}}
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get, list, watch]
{{- end }}

{{- define "sluice.rules.gitops" -}}
{{- if .Values.gitops.clusterAdmin }}
- apiGroups: ["*"]
  resources: ["*"]
  verbs: ["*"]
{{- if not .Values.namespaced }}
- nonResourceURLs: ["*"]
  verbs: ["*"]
{{- end }}
{{- else }}
{{ toYaml .Values.gitops.rules }}
{{- end }}
{{- end }}

{{- define "sluice.rules.templates" -}}
- apiGroups: [argoproj.io]
  resources: [clusteranalysistemplates]
  verbs: [get, list, watch]
{{- end }}

{{- define "sluice.rules.events" -}}
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "sluice.rules.lease" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "sluice.leaseName" . }}]
  verbs: [get, patch]
{{- end }}
