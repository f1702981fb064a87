variable "environment" {
  description = "The settings, as UNTHROTTLED_* variables. The ledger's are set by the module."
  type        = map(string)
  validation {
    condition     = contains(keys(var.environment), "UNTHROTTLED_POLICY")
    error_message = "The settings need UNTHROTTLED_POLICY, such as [{name = \"projects\", projects = [\"*\"], mode = \"apply\"}]."
  }
  validation {
    condition     = alltrue([for name in keys(var.environment) : startswith(name, "UNTHROTTLED_")])
    error_message = "Settings begin with UNTHROTTLED_."
  }
}

variable "policy" {
  description = "The task role's policy: what `unthrottled iam-policy --doctor --format json` prints for these settings with UNTHROTTLED_LEDGER__STORE=dynamodb."
  type        = string
  validation {
    condition     = can(jsondecode(var.policy).Statement)
    error_message = "The policy is a JSON document with statements."
  }
}

variable "image" {
  description = "The container image, best by digest."
  type        = string
}

variable "vpc_id" {
  description = "The VPC. From its subnets the task must reach AWS's APIs and the registry of the image."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a NAT gateway, or public ones with assign_public_ip."
  type        = list(string)
}

variable "name" {
  description = "The name of the service and of what belongs to it."
  type        = string
  default     = "unthrottled"
}

variable "repository_arn" {
  description = "The ECR repository that the image is in; null for a registry that asks for no login."
  type        = string
  default     = null
}

variable "architecture" {
  description = "What the image is built for."
  type        = string
  default     = "ARM64"
  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "ARM64 or X86_64."
  }
}

variable "cpu" {
  description = "CPU units of the task."
  type        = number
  default     = 256
}

variable "memory" {
  description = "MiB."
  type        = number
  default     = 512
}

variable "cluster_arn" {
  description = "An ECS cluster that is there; null makes one."
  type        = string
  default     = null
}

variable "assign_public_ip" {
  description = "For public subnets without a NAT gateway. Nothing is let in either way."
  type        = bool
  default     = false
}

variable "ledger_table" {
  description = "The DynamoDB table that the ledger is kept in."
  type        = string
  default     = "unthrottled"
}

variable "create_ledger_table" {
  description = "Whether the table is to be made; false if it is there."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long its events are kept."
  type        = number
  default     = 90
}

variable "log_kms_key_arn" {
  description = "A customer-managed key for its log group; its key policy must let CloudWatch Logs use it."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "A permissions boundary for its two roles, where the organization asks for one."
  type        = string
  default     = null
}
