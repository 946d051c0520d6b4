"""``python -m sklearn_deepcluster.benchmarks.speed``"""

from sklearn_deepcluster.benchmarks.speed import main

if __name__ == "__main__":
    main()
