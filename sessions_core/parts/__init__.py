"""One folder for each feature that an application can leave out. Delete the folder and the feature is gone."""
