"""The upload function: checks a request and its data, and stores the data in S3 under the submission's own key."""
