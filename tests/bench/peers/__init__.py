"""What would one write instead? Semaphores over Redis, etcd and PostgreSQL, each as well as it reasonably goes."""
