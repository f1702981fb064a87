output "task_role_arn" {
  description = "The role that the daemon runs with; what member roles trust."
  value       = aws_iam_role.task.arn
}

output "log_group_name" {
  description = "Where its events are."
  value       = aws_cloudwatch_log_group.events.name
}

output "cluster_arn" {
  description = "The cluster, for `aws ecs`."
  value       = aws_ecs_service.this.cluster
}

output "task_definition_arn" {
  description = "The task, to run `doctor` once with the same role and settings."
  value       = aws_ecs_task_definition.this.arn
}

output "security_group_id" {
  description = "Its security group."
  value       = aws_security_group.this.id
}
